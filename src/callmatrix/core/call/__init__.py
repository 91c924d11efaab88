"""The call: a machine, total over (state, event), that orders everything and does nothing itself."""
