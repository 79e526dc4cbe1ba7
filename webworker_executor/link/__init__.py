"""Movement: frames through the kernel."""
