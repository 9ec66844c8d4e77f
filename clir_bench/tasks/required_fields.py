"""Explains each required field of a task card; the error for a missing field quotes it."""

from __future__ import annotations

REQUIRED = {
    "id": "the task's name: lower-case letters, digits, '.', '_' and '-'",
    "title": "what tables call the task",
    "description": "a sentence or two on what is searched and what is relevant",
    "adapter": 'what reads the files: "folder" for a collection of your own',
    "splits": 'names of the splits, such as ["test"]',
    "default_split": "the split that runs when none is asked for",
    "measures": 'ir-measures names, the main one first: ["nDCG@10", "R@100"]',
    "languages": 'a table of language codes and what the files call them: sw = "sw"',
    "pairs": 'a table of language pairs: official = ["en-sw"]',
    "pairs.official": 'the pairs that run when none are asked for: ["en-sw", "*-en"]',
    "parallel_queries": "true where equal query ids in two languages are translations of each "
    "other, else false",
    "license": "of the data",
    "download.by_hand": "what to fetch and where to put it when there is no address",
    "parts.task": "the id of the part's card",
    "parts.measure": "the ir-measures name that the part adds to the suite",
}
