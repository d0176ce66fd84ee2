"""How everything a person reads looks: wording in two languages, numbers, style sheet, fonts."""
