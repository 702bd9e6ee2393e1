"""Payment policies: a regression oracle and an exploration rule, refitted on short memory."""
