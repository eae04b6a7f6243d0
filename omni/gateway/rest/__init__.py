"""`/v1`: omni's own REST API. A file each resource; the pieces that all of them stand on beside them."""
