"""Prompts that ask for the description of a picture."""

PICTURE = (
    "Describe everything that you see in this picture.",
    "Tell me what is going on in this picture.",
    "What are the people in the picture doing?",
    "Describe the picture to somebody who cannot see it.",
    "Which things in this picture are about to go wrong?",
    "Tell the story of this picture.",
    "List the objects in the picture.",
    "Describe the room that the picture shows.",
    "What does the grown-up in the picture do, and what does she not notice?",
    "What are the children in the picture trying to reach?",
    "Begin on the left and describe the picture up to its right edge.",
    "Describe in a few sentences what happens here.",
    "What happened in this picture a minute ago, and what will happen next?",
    "Look at the picture and say what you would do if you came in.",
    "What can be seen through the window?",
    "Where is there water in the picture, and why?",
    "Describe the positions of the people in the picture.",
    "Which dangers does the picture show?",
    "Describe the picture as you would to a child.",
    "Say all that you notice in this picture, also what is small.",
)
