"""The text on which every model and cell is measured: ordinary English prose, written for this.

It need not be new to a model: what is measured is the difference between a clean model and a
damaged one on the same text. Never change it: figures of other runs would no longer be comparable.
"""

TEXT = """\
The ferry to the island leaves twice a day in winter, once before breakfast and once after the \
schools have closed. Most of the passengers know each other, and they sit in the same places, the \
builders near the engine where it is warm, the teachers by the windows, and old Mr. Lund on deck \
whatever the weather, because he says that the smell of diesel takes away his appetite. The \
crossing takes forty minutes when the sea is calm. In a storm it can take twice as long, and then \
the captain, who has a dry sense of humour, announces over the loudspeaker that there will be no \
extra charge.

Bread dough rises because yeast eats sugar and gives off carbon dioxide. The gas is caught in a \
net of gluten, a protein that forms when flour is mixed with water and worked by hand. If the \
room is cold the yeast is slow, and the dough may need a whole night; bakers often prefer that, \
since a slow rise gives the bread more flavour. If the room is too hot the yeast runs out of food \
before the loaf is in the oven, and the bread comes out flat and sour. A good test is to press \
the dough with one finger. When the dent fills slowly, it is ready.

The first railways used local time. Every town set its clocks by the sun, so that noon in one \
place came several minutes before noon in the next, and nobody minded until trains began to \
connect them. A timetable that was right at one end of the line was wrong at the other. Companies \
first printed tables of corrections, which few travellers understood, and later sent a guard with \
a watch along the line every morning. In the end it was simpler to agree on one time for the \
whole country, although some towns kept a second hand on the church clock for many years, to show \
what they still called the real time.

Owls hunt by hearing as much as by sight. In many species one ear sits a little higher in the \
skull than the other, so that a sound from below reaches the two ears at slightly different \
moments, and the bird can tell how far down its prey is as well as in which direction. The \
feathers on the front edge of the wing are fringed like a comb. They break the air into small \
eddies and make the flight almost silent, which helps the owl twice over: the mouse does not hear \
it coming, and the owl is not deafened by its own wings.

When my grandmother moved to the city she brought three things with her, a sewing machine, a tin \
of buttons, and a bad opinion of elevators. She lived on the fifth floor and walked up every day \
until she was eighty. On each landing she stopped to talk to whoever was at home, and by the time \
she reached her own door she knew everything that had happened in the building since the morning. \
My mother used to say that the stairs kept her alive. I think it was the conversations.

To measure the height of a tree without climbing it, you need a stick as long as your arm and a \
level piece of ground. Hold the stick upright at arm's length and walk backwards until its top \
and bottom seem to touch the top and bottom of the tree. The distance from where you stand to the \
trunk is then about the height of the tree. The method works because the two triangles, the small \
one between your eye and the stick and the large one between your eye and the tree, have the same \
shape. It is not exact, but it is seldom wrong by more than a tenth, and it needs no instruments \
at all.
"""
