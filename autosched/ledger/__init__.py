"""What is known of studies: append-only events, the state they fold to, and the store that keeps them."""
