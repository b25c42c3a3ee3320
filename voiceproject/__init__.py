"""Top floor: settings, routing and composition. No logic lives here."""
