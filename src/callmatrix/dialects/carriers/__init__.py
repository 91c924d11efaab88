"""The carriers' dialects of TwiML: one adapter, and a table of what differs."""
