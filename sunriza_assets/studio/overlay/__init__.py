"""What the app lays over the idle: viseme cells, their atlas, the mouth mask and the moving ROI."""
