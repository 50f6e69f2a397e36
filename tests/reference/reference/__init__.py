"""An independent computation of Dealog's figures, from the events alone and by the text of docs/figures.md."""
