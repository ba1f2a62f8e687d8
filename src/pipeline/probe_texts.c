/* pipeline/probe_texts.c: the texts of the accuracy gate and of int8's calibration, written for
 * querent: search queries of 2 to 15 words, and questions with a passage that answers each. Nothing
 * else depends on their wording; a change of them is a change of what the gate measures, or of int8
 * plans. No text is in both sets. */
#include "pipeline/probe_texts.h"

static const char *const gate_queries[] = {
    "weather in lisbon tomorrow",
    "how to fix a dripping kitchen tap",
    "cheap flights from berlin to oslo in march",
    "what is the difference between baking soda and baking powder",
    "python read csv file line by line",
    "best running shoes for flat feet",
    "who painted the ceiling of the opera house",
    "symptoms of vitamin d deficiency in adults",
    "convert 250 grams of flour to cups",
    "used electric bike under 800 euros",
    "is it safe to eat eggs after the date",
    "meaning of the word serendipity",
    "train timetable munich salzburg",
    "how many legs does a lobster have",
    "sql join three tables example",
    "when do the clocks go back",
    "vegetarian lasagne with spinach and ricotta",
    "tax return deadline for freelancers",
    "how long does a passport renewal take",
    "lyrics of the old sailing song about the north wind",
    "noise cancelling headphones review",
    "capital of mongolia",
    "can dogs eat cooked pumpkin",
    "hotel near the central station with parking",
    "why is the sky red at sunset",
    "second hand piano tuning cost",
    "error 404 nginx static files",
    "distance from earth to mars in light minutes",
    "how to remove red wine from a white carpet",
    "minimum wage 2024",
    "board games for two players",
    "translate good morning into finnish",
    "what does a heat pump cost per year",
    "history of the printing press in europe",
    "opening hours city library sunday",
    "knee pain when climbing stairs",
    "who won the chess championship last year",
    "iphone battery drains overnight",
    "plants that survive without sunlight",
    "how to write a cover letter for a first job",
    "average rainfall in the amazon basin",
    "gluten free bread recipe without yeast",
    "nearest pharmacy open now",
    "difference between lease and rent",
    "volcano eruption iceland live",
    "how do noise barriers along motorways work",
    "old photographs of the harbour before the fire",
    "c pointer to array of structs",
    "children's museum tickets",
    "does green tea contain more caffeine than coffee",
};

static const qr__probe_pair gate_pairs[] = {
    {"When was the lighthouse built?",
     "The lighthouse on the northern cape was built in 1874 after two ships had been lost on the "
     "rocks."},
    {"Who designed the bridge?",
     "The iron bridge over the gorge was designed by Clara Weiss, who had never built anything "
     "larger than a barn."},
    {"What does the mill produce?",
     "Since the war the old mill by the river has produced paper for the newspapers of the "
     "capital."},
    {"How long is the tunnel?",
     "Engineers dug for nine years, and the finished tunnel is 34 kilometres long, with a station "
     "in the middle."},
    {"Where do the storks spend the winter?",
     "The storks leave the village in August and spend the winter in Senegal, returning in the "
     "first days of spring."},
    {"How many students attend the school?",
     "The school on the island is small: it has 46 students, four teachers and a boat instead of "
     "a bus."},
    {"What is the cheese made from?",
     "The cheese is made from sheep's milk and ripens for five months in caves above the town."},
    {"Who discovered the comet?",
     "The comet was discovered by Maria Lindqvist in the autumn of 1921 with a telescope that she "
     "had ground herself."},
    {"In which city is the bridge of glass?",
     "The bridge of glass stands in Bratislava, where the river flooded the streets almost every "
     "spring."},
    {"In which year did the fish market open?",
     "The fish market opened in 1956 and is empty again before most people have had breakfast."},
    {"When was the railway closed?",
     "The railway was closed in 1988 after a landslide, and the valley has been served by buses "
     "ever since."},
    {"Who is the mayor of the capital?",
     "The province is mostly forest. The mayor of its capital is Karin Holm, who used to be a "
     "sailor."},
    {"How much does the ticket cost?",
     "A ticket for the cable car costs 18 euros, and children under six ride free."},
    {"Who wrote the opera?",
     "The opera was written by Anton Bruckmann in a single summer, while he lived above a bakery."},
    {"What language is spoken in the valley?",
     "Most families in the valley speak Romansh at home, although schools teach in German."},
    {"How tall is the tower?",
     "The radio tower stands on the hill; it is 212 metres tall and can be seen from the coast."},
    {"What did the farmers grow?",
     "Before the canal came, farmers on the plain grew barley, because nothing else could bear "
     "the salt."},
    {"Where is the museum located?",
     "The museum is located in Rotterdam, five minutes on foot from the main square."},
    {"When did the queen die?",
     "The queen died in 1643, and her son, who was only nine, was crowned the same week."},
    {"What colour is the flag?",
     "Sailors know the island by its flag, which is yellow with a black ship in one corner."},
    {"Who owns the newspaper?",
     "The newspaper is owned by Viktor Hartmann, who also runs a printing house and a radio "
     "station."},
    {"How many people live in the town?",
     "About 12,500 people live in the town, and in summer the number doubles."},
    {"What powers the ferry?",
     "The new ferry is powered by batteries that are charged at each landing while cars drive "
     "off."},
    {"When did the fire start?",
     "The fire started in September 1834, when a candle had been left burning in the sacristy "
     "overnight."},
    {"How many barrels of wine are in the cellar?",
     "The cellar below the town hall holds 900 barrels of wine, some of them older than the "
     "building."},
    {"Who trained the pilots?",
     "The pilots were trained by Captain Ruiz on a lake that freezes from November to April."},
    {"When was the bakery founded?",
     "The bakery was founded in 1908 and still uses the oven that came with the house."},
    {"How many islands does the archipelago have?",
     "The archipelago has 73 islands, but only eleven of them have fresh water."},
    {"What is the oldest part of the church?",
     "The oldest part of the church is the crypt, which was dug before the village had a name."},
    {"Where was the treaty signed?",
     "The treaty was signed in Utrecht by ambassadors who had not spoken for six years."},
    {"What do the bees pollinate?",
     "Each spring a lorry brings two hundred hives, whose bees pollinate the almond trees."},
    {"Who repairs the clock?",
     "The clock on the gate is repaired by Henrik Olsen, who comes every second autumn."},
    {"Who built the lift?",
     "The lift in the mine was built by Otto Brandt and moves at 16 metres per second when it "
     "carries ore."},
};

static const char *const calibration_queries[] = {
    "bus from the airport to the old town",
    "how to descale a coffee machine with vinegar",
    "garden shed plans pdf",
    "why does my cat sneeze so often",
    "interest rate for a 20 year mortgage",
    "javascript remove duplicates from array",
    "first woman to cross the desert alone",
    "snow forecast alps weekend",
    "is 37.5 a fever in children",
    "recipe for onion soup with white wine",
    "small claims court fee",
    "what time does the post office close",
};

static const qr__probe_pair calibration_pairs[] = {
    {"What was the factory used for?",
     "The brick factory by the canal was used to store grain until 1911, when the roof fell in."},
    {"How deep is the lake?",
     "The lake is 118 metres deep at its northern end, and divers have found two sunken boats."},
    {"Who paints the fences?",
     "Every May the fences along the promenade are painted green by volunteers of the rowing "
     "club."},
    {"Why was the concert moved?",
     "Because of the storm warning, the open-air concert was moved to the gymnasium of the "
     "school."},
};

#define SET(name)                                                                                  \
    {name##_queries, sizeof name##_queries / sizeof *name##_queries, name##_pairs,                 \
     sizeof name##_pairs / sizeof *name##_pairs}

const qr__probe_set qr__probe_sets[QR_PROBE_SETS] = {
    [QR_PROBES_GATE] = SET(gate),
    [QR_PROBES_CALIBRATION] = SET(calibration),
};
