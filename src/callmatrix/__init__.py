"""CallMatrix: an open, self-hosted pay-per-call routing and monetization platform."""
