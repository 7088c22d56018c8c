"""The report of an acceptance: may this student replace its baseline?"""
