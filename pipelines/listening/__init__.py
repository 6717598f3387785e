"""Run the listening test of the paper (Figure 6, Tables 3 and 6): make a study, serve it to raters, read the results."""
