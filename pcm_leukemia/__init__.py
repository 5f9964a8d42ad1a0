"""Blood-smear images annotated in CVAT, in one schema, split by patient, written for training."""
