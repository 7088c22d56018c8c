"""Prompts that have a right answer, and two that have none.

Each is a text with all answers that count; an answer is right where one of them stands in it as a
word or number of its own (`scoring.py`).
"""

MATH = (
    ("What is 7 + 5?", ("12", "twelve")),
    ("What is 14 - 6?", ("8", "eight")),
    ("What is 6 times 7?", ("42", "forty-two")),
    ("What is 81 divided by 9?", ("9", "nine")),
    ("What is 25 + 38?", ("63", "sixty-three")),
    ("What is 100 - 37?", ("63", "sixty-three")),
    ("What is 12 times 11?", ("132",)),
    ("What is half of 90?", ("45", "forty-five")),
    ("What is 15 % of 200?", ("30", "thirty")),
    ("What is 3 to the power of 4?", ("81", "eighty-one")),
    ("What is the square root of 144?", ("12", "twelve")),
    ("Which number comes next: 2, 4, 8, 16?", ("32", "thirty-two")),
    ("Which number comes next: 5, 10, 15, 20?", ("25", "twenty-five")),
    ("A book costs 8 euros. How much do 5 of them cost?", ("40", "forty")),
    ("Anna has 12 apples and gives 4 away. How many are left?", ("8", "eight")),
    ("A train travels 60 km in one hour. How far does it travel in 3 hours?", ("180",)),
    ("How many minutes are there in 2 hours?", ("120",)),
    ("A rectangle is 4 m long and 3 m wide. What is its area in square metres?", ("12", "twelve")),
    ("What is 1000 divided by 8?", ("125",)),
    ("If x + 9 = 15, what is x?", ("6", "six")),
    ("If 2x = 18, what is x?", ("9", "nine")),
    ("What is the sum of the numbers from 1 to 10?", ("55", "fifty-five")),
    ("How many sides do 3 triangles have together?", ("9", "nine")),
    ("What is a quarter of 48?", ("12", "twelve")),
    ("Tom is 9. His sister is 4 years older. How old is she?", ("13", "thirteen")),
)
LANGUAGE = (
    ("What is the opposite of hot?", ("cold",)),
    ("What is the plural of mouse?", ("mice",)),
    ("What is the past tense of go?", ("went",)),
    ("Give a word that rhymes with cat and names something worn on the head.", ("hat",)),
    ("Complete the saying: Better late than ...", ("never",)),
    ("Hand is to glove as foot is to what?", ("sock", "shoe", "boot", "stocking")),
    ("Which word does not belong: apple, pear, chair, plum?", ("chair",)),
    ("What is the opposite of to buy?", ("sell", "to sell", "selling")),
    ("Spell the word light backwards.", ("thgil", "t-h-g-i-l", "t h g i l")),
    ("What do you call a person who bakes bread?", ("baker",)),
    ("What is the comparative of good?", ("better",)),
    ("Which letter comes after M in the alphabet?", ("n",)),
    ("Complete the sentence with one word: Fish live in ...", ("water", "sea", "oceans", "rivers")),
    ("Bird is to nest as bee is to what?", ("hive", "beehive")),
    ("How many letters does the word window have?", ("6", "six")),
)
LOGIC = (
    ("All cats are animals. Tom is a cat. Is Tom an animal? Answer yes or no.", ("yes",)),
    ("Anna is taller than Ben, and Ben is taller than Carl. Who is the shortest?", ("carl",)),
    ("If today is Monday, which day is it in three days?", ("thursday",)),
)
FACTUAL = (
    ("What is the capital of France?", ("paris",)),
    ("How many days does a week have?", ("7", "seven")),
    ("Which planet do we live on?", ("earth",)),
    ("Which gas do people need to breathe?", ("oxygen",)),
    ("What is water made of when it is frozen called?", ("ice",)),
)
CREATIVITY = (
    "Think of three unusual things that one could do with a brick.",
    "Write four lines about a lamp that is afraid of the dark.",
)
