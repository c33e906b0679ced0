"""What is to be computed: shapes, dtypes and options of one call, resolved and checked."""
