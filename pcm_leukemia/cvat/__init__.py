"""Read what CVAT exports."""
