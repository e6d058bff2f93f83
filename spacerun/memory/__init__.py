"""How much memory a Space takes, and whether that is to be had here."""
