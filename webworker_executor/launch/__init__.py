"""Birth and death: how a process comes to hold its link, and how it ends."""
