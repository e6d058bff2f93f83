"""How well the reader of `spacerun.needs` reads public Spaces that were labelled by hand."""
