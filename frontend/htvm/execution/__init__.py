"""Running a project on the simulated target, and what a run says: metrics, observed values, traces."""
