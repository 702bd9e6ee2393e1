"""Events on their way to a learner: contracts, ingest, maturity, and the batches that learners accept."""
