"""Passages and questions of the span goldens, written for querent. (context, [questions])"""

LIGHTHOUSE = (
    "The lighthouse of Kvalvik was built between 1871 and 1874 by the engineer Sofie Brandt, after three ships had been "
    "lost on the rocks in a single winter. It is 38 metres tall and painted white with one red band. Until 1962 a keeper "
    "lived there with his family; since then the lamp has been switched on by a clock. Today the keeper's house is a small "
    "hotel with five rooms, which is closed from November to March."
)
BAKERY = (
    "Marta Oyelaran opened her bakery on Copper Street in May 2009 with two ovens and a loan from her aunt. Her rye bread, "
    "which rests for 36 hours before it is baked, made the shop known beyond the town. In 2017 she employed eleven people, "
    "most of whom had learned the trade from her. She says that the secret is not the flour but the water: it comes from a "
    "spring behind the church."
)
FERRY = (
    "The ferry between Halden and the island of Tun has run since 1923. The first ship carried 40 passengers and was driven "
    "by steam; the present one, the Aurora, takes 300 passengers and 60 cars and is powered by batteries that are charged "
    "during each stop. A crossing takes 25 minutes. When ice closes the sound, usually in February, the island is reached by "
    "helicopter."
)
OWLS = (
    "Barn owls hunt by ear. Their faces are shaped like a dish that guides sound to ears which do not sit at the same height, "
    "so that the owl can tell from the difference how far above the ground a mouse is rustling. The feathers on the edges of "
    "the wings are soft and break the air into small streams, which makes the flight almost silent."
)
CLOCK = (
    'The clock in the market hall ("Old Tick", as everyone calls it) loses four minutes a week. Every Monday at 7:30 a.m. the '
    "watchmaker Émile Duchêne climbs the 112 steps to set it right — a job his grandfather took over in 1931 for 2.50 francs "
    "a month. The town's council has twice offered him an electric movement; he has twice refused."
)
CITY = (
    "東京 (Tokyo) and 大阪 (Osaka) are joined by the Shinkansen, a railway for fast trains that was opened in October 1964. The "
    "515 km between the two cities then took four hours; today the fastest train, Nozomi, needs 2 hours and 22 minutes. "
    "In Zürich, where trains are also said to be punctual, an engineer called Jürg Müller keeps a model of it in his cellar 🚄."
)
RIVER = (
    "Nobody agrees on where the Ilva begins. Maps show a spring near Sant Climent; shepherds point to a marsh two valleys "
    "further north. What is certain is where it ends: after 214 kilometres it flows into Lake Morro, whose water has been so "
    "salty since the dam of 1988 that no fish but the carp can live in it. The carp is eaten smoked. RIVER GUIDES say that the "
    "best month to travel down the Ilva is June, and river guides ought to know."
)
GREEK = (
    "The harbour tavern is called ΟΔΟΣ, which means street. Its owner, Νίκος Παπάς, paints the sign anew each spring, and each "
    "spring the sea takes the letters off again. Tourists write the name as οδος or Odos; the postman only says 'at Nikos'."
)
TINY = "Seven."
SHORT = "The answer is forty-two, said Ada."
PUNCTUATED = "Price: $1,299.00 (excl. VAT); weight: 3.2kg; sold by: O'Neill & Sons, Ltd. -- model X-200/B... ask for 'Ben'."
LONG = "\n".join([RIVER, LIGHTHOUSE, OWLS, FERRY, BAKERY, CLOCK, LIGHTHOUSE.replace("Kvalvik", "Sandholm").replace("38", "41")])

PASSAGES = [
    (LIGHTHOUSE, ["Who built the lighthouse?", "How tall is the lighthouse?", "When is the hotel closed?"]),
    (BAKERY, ["When did Marta open her bakery?", "How long does the rye bread rest?", "Where does the water come from?"]),
    (FERRY, ["What powers the Aurora?", "How long does a crossing take?", "How is the island reached when there is ice?"]),
    (OWLS, ["What are the faces of barn owls shaped like?", "Why is the flight of the owl silent?"]),
    (CLOCK, ["Who sets the clock right?", "How much was the grandfather paid?", "What do people call the clock?"]),
    (CITY, ["When was the Shinkansen opened?", "Who keeps a model in his cellar?", "What is the name of the fastest train?"]),
    (RIVER, ["What is the best month to travel down the Ilva?", "Which fish lives in Lake Morro?", "Who knows the Ilva?"]),
    (GREEK, ["What is the tavern called?", "Who owns the tavern?"]),
    (TINY, ["How many?"]),
    (SHORT, ["What is the answer?", "Who said it?"]),
    (PUNCTUATED, ["How much does it weigh?", "Who sells it?", "What does it cost?"]),
    (LONG, ["How tall is the lighthouse?", "What is smoked?", "Who learned the trade from Marta Oyelaran?", "Who hunts by ear?"]),
]
