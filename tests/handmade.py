"""A few careers that can be checked by hand."""

import pandas as pd

# In the panel's order: person 1 with four records, person 2 with a gap, person 3 with one record.
CAREERS = pd.DataFrame(
    {
        "id": [1, 1, 1, 1, 2, 2, 2, 3],
        "year": [1999, 2000, 2001, 2002, 2000, 2001, 2003, 2001],
        "job": ["cook", "clerk", "clerk", "nurse", "clerk", "cook", "cook", "clerk"],
        "sex": ["f", "f", "f", "f", "m", "m", "m", "f"],
        "educ": [12, 12, 13, 13, 10, 11, 11, 16],
        "region": ["east", "east", "west", "west", "west", "west", "east", "north"],
        "wage": [5.0, 6, 6, 8, 4, 4, 7, 9],
        "weight": [1.0, 1, 1, 1, 2, 2, 2, 6],
    },
    index=pd.Index(list("abcdefgh"), name="row"),
)
ROLES = {
    "person": "id",
    "time": "year",
    "occupation": "job",
    "static": ["sex"],
    "dynamic": ["educ", "region"],
    "lagged": ["wage"],
    "weights": "weight",
}
