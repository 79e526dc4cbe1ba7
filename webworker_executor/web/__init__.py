"""Objects of the Web Worker model, as the host sees them."""
