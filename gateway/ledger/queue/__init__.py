"""The calls that are owed: claims, holds, budgets, and which processes live."""
