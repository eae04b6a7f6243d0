"""The role that tells developers' servers of events: from the log to deliveries, and from there over the wire."""
