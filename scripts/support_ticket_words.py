# ruff: noqa: E501
"""Names, things and small talk for the messages of `build_support_tickets.py`. Data only.

They know nothing of topics or labels: every line here can stand in a message about anything.
"""


def _words(block: str) -> list[str]:
    return block.split()


def _lines(block: str) -> list[str]:
    return [line.strip() for line in block.strip().splitlines()]


def _commas(block: str) -> list[str]:
    return [part.strip() for part in block.replace("\n", " ").split(",") if part.strip()]


FIRST_NAMES = _words("""
Aisha Albin Amélie Anouk Arjun Astrid Beatriz Benedikt Björn Bram Bronagh Callum Cáit Chidi Chloé Claudia Cormac Dagmar Daiyu Dafydd
Désirée Dmitri Eilidh Eithne Elif Emeka Enrique Esra Farid Fergus Fiona Françoise Freja Gareth Geneviève Giulia Gökhan Greta Hakan
Hannelore Harriet Hélène Hideo Hina Ibrahim Ilse Imogen Inés Ingrid Ioana Isolde Jarmila Jürgen José Joaquín Jolanta Kaia Katarzyna
Keiko Kieran Kofi Kwame Lachlan Laila Leif Linnéa Lorcan Ludmila Łukasz Maeve Magda Mahmoud Maïté Małgorzata Marguerite Matteo Mei
Mercedes Milos Mireille Mohan Moira Naoise Nadia Neeraj Ngozi Nils Noémie Nuala Oisín Oksana Olufemi Ondřej Orla Oskar Padma Pádraig
Paolo Pernille Petra Piotr Priya Quentin Rafał Ramona Raúl Renée Rhiannon Rosalind Ruaridh Saoirse Seán Shabnam Siobhán Søren Stefania
Sunniva Svetlana Tadhg Tamsin Tanvi Thaddeus Thérèse Tomáš Tove Ulrike Umar Urszula Vasquez Vikram Wanjiru Wilhelmina Wren Xavier
Xiomara Yannick Yusuf Zbigniew Zoë Zuzana Dave Sue Kev Tina Barb Gaz Linda Trev Mandy Keith
""")

SURNAMES = _words("""
Abernathy Achterberg Adeyemi Ainsworth Alvarado Appleyard Arkwright Babajide Baczewski Balakrishnan Barraclough Bellingham Bergström
Bhattacharya Bickerstaffe Blenkinsop Bogdanov Bourguignon Braithwaite Brannigan Cadwallader Castellanos Chakraborty Cholmondeley
Christodoulou Clutterbuck Cruickshank Czerny Dalgaard Delacroix Diefenbach Dombrowski Drinkwater Dubois Echeverría Eickhoff Enwonwu
Entwistle Fairweather Farquharson Featherstone Fernández Fitzgibbon Fjeldstad Galbraith García Gildersleeve Goldthwaite Grabowski
Gustafsson Haddad Hajdu Halvorsen Hargreaves Hathersage Heckmondwike Higginbotham Hofstetter Holubová Ichikawa Igwe Ivanenko Jankowski
Jaworski Jóhannsdóttir Kapoor Karamanlis Kinnaird Kowalczyk Kröger Kumaraswamy Lachance Lafferty Langstaff Leclerc Lindqvist
Llewellyn Lutyens MacAllister Magnusson Makinde Mbeki McGillicuddy Mellor Molloy Montague Mukherjee Müller Nakagawa Ndiaye Nørgaard
Novák Nwosu Oakenshaw Ockenden Olszewski Ormerod Osterhagen Papadakis Pemberton Peñalosa Petrossian Pickersgill Plowright Popescu
Quartermaine Quigley Ramsbottom Rasmussen Ravenscroft Redmayne Ribeiro Rosenqvist Rothwell Saltonstall Sandoval Satterthwaite Schröder
Schwarzkopf Shufflebotham Sidebottom Skjelbred Smethurst Stanisławski Strachan Szabó Takahashi Tattersall Thistlethwaite Tillotson
Trevelyan Uchida Unsworth Vandermeer Venkataraman Villaseñor Wadsworth Wedderburn Weißmann Whittingstall Wigglesworth Winterbottom
Wojciechowska Woolstenholme Yamaguchi Yardley Zielinski
""")

PLACES = _commas("""
Aberystwyth, Ashby, Bakewell, Barnoldswick, Basingstoke, Biarritz, Bilbao, Bognor, Brno, Bruges, Bury, Caernarfon, Carlow, Clitheroe,
Cluj, Coimbra, Cork, Cromer, Darlington, Delft, Dijon, Dunfermline, Durham, Eindhoven, Ennis, Erlangen, Exeter, Falkirk, Flensburg,
Galashiels, Galway, Gdynia, Ghent, Girona, Grimsby, Groningen, Halifax, Harrogate, Hebden Bridge, Hexham, Huddersfield, Innsbruck,
Inverness, Jena, Karlstad, Kendal, Kilkenny, Kirkcaldy, Kraków, Leiden, Leominster, Limoges, Linz, Llandudno, Lowestoft, Lübeck,
Ludlow, Malmö, Matlock, Mold, Münster, Nantes, Newry, Nuneaton, Oban, Odense, Olomouc, Ormskirk, Ostend, Oviedo, Padua, Penzance,
Perpignan, Pitlochry, Poole, Porto, Poznań, Ripon, Rothenburg, Rugby, Saltburn, Sligo, Slough, Stavanger, Stornoway, Stroud, Swindon,
Tampere, Tarragona, Thurso, Tralee, Trieste, Truro, Ulm, Uppsala, Utrecht, Vigo, Wakefield, Wexford, Whitby, Wick, Yeovil, Zwolle
""")

STREET_HEADS = _words("""
Alder Badger Beacon Bramble Brindle Chapel Clover Cobbler Copper Cuckoo Dovecote Elder Fallow Ferry Foxglove Gallows Gorse Granary
Hawthorn Heron Hollow Juniper Kestrel Kiln Larch Linnet Magpie Mallow Millrace Nettle Otter Paddock Pepper Quarry Rowan Saddler Sexton
Sorrel Tanner Thistle Tinker Wagtail Weaver Willow Wren Yarrow
""")
STREET_TAILS = _words("field croft gate brook holme mead stead wick garth dene bank combe side hurst thorpe ley")
STREET_KINDS = _words("Road Lane Close Street Avenue Terrace Crescent Way Mews Drive Row Rise Walk")

BRAND_HEADS = _words("""
Vel Kar Zan Tor Brix Quel Mor Fen Dux Hol Jor Plim Snor Wex Yar Bel Crim Dro Ess Flo Glim Hux Iv Jas Kli Lum Nim Ost Pry Rov Sel Tull
Umb Vor Whis Xan Zeb Ald Brom Cas
""")
BRAND_TAILS = _words("""
onda ivo aro exa itto umo adine olle essa inor uvia atek ando ista oro ynn elka ovan arix ulux etto imba orra usk enza olot aply iquo
""")
MODEL_LETTERS = "ABCDEFGHKLMNPRSTVXZ"

MACHINES = _commas("""
kettle, toaster, air fryer, blender, espresso machine, microwave, rice cooker, slow cooker, bread maker,
waffle iron, hand mixer, juicer, fridge, freezer, dishwasher, washing machine, tumble dryer, hob, oven,
cooker hood, vacuum, robot vacuum, steam mop, iron, sewing machine, dehumidifier, fan heater, radiator, air
purifier, desk lamp, floor lamp, ceiling light, doorbell, thermostat, smoke alarm, router, printer, scanner,
monitor, laptop, tablet, keyboard, mouse, webcam, headset, speaker, soundbar, turntable, radio, projector,
television, remote, games console, controller, camera, tripod, drone, e-reader, smartwatch, fitness band,
power bank, charger, hard drive, electric toothbrush, shaver, hair dryer, curling wand, massage gun,
bathroom scale, blood pressure monitor, hearing aid, humidifier, drill, sander, jigsaw, pressure washer,
lawnmower, hedge trimmer, leaf blower, chainsaw, e-bike, scooter, treadmill, rowing machine, baby monitor,
watch, telescope
""")
GOODS = _commas("""
mattress, duvet, pillow, bed frame, bunk bed, wardrobe, bookcase, desk, office chair, bar stool, sofa,
armchair, rug, curtain rail, mirror, coat rack, shoe rack, bath mat, shower head, tap, toilet seat, hose
reel, greenhouse, barbecue, parasol, hammock, paddling pool, tent, sleeping bag, rucksack, suitcase, kayak,
paddle board, bike lock, helmet, yoga mat, dumbbell set, trampoline, pram, car seat, high chair, cot, doll's
house, train set, scarf, raincoat, parka, cardigan, wetsuit, walking boot, trainer, slipper, handbag,
necklace, umbrella, aquarium, dog crate, cat tree, bird feeder, ukulele, keyboard stand, accordion, easel,
fountain pen
""")
COLOURS = _commas(
    "black, white, grey, navy, teal, mustard, sage, burgundy, coral, oatmeal, charcoal, lilac, olive, turquoise, walnut"
)
MONTHS = _words("January February March April May June July August September October November December")
WEEKDAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
BANK_TAILS = _commas("Bank, Savings, Building Society, Pay, Credit Union")
COMPANY_TAILS = _commas(
    "Ltd, GmbH, & Sons, Interiors, Catering, Studios, Dental, Joinery, Logistics, BV, Architects, Veterinary"
)
CARRIER_TAILS = _commas("Express, Parcels, Post, Courier, Van, Direct, Go")
PHONE_TAILS = _commas("7, 12 Pro, mini, X2, phone, Lite, Note 9, Fold")
BROWSERS = _commas("Firefox, Chrome, Safari, Edge, Opera, the app, the mobile site")
SOCIALS = _commas("Google, Apple, Facebook, the work account, passkey")
PLANS = _commas("""
Gold plan, Plus membership, monthly box, coffee club, premium plan, family plan, filter subscription, care plan, Sunday crate,
snack box, pro tier, streaming add-on, razor refill plan, pet food box, vitamin club, photo storage plan, recipe kit, wine circle
""")
PEOPLE = _commas("""
my husband, my wife, my daughter, my son, my mum, my dad, my nan, my grandad, my sister, my brother, my partner, my flatmate, my boss,
our office manager, our caretaker, my mother-in-law, my nephew, my niece, the babysitter, our intern, my godson, my auntie
""")
OCCASIONS = _commas("""
my daughter's birthday, our wedding, the christening, a funeral, Christmas, Eid, Diwali, the school fête, our holiday, the village fair,
the office move, a trade show, grandma's 80th, Mother's Day, the baby's arrival, half term, the half marathon, the opening night
""")
CODE_WORDS = _words(
    "SPRING HELLO WELCOME SAVE THANKYOU BDAY FLASH SUNNY FRIEND VIP AUTUMN NEWHOME MIDWEEK LOVE COMEBACK APP PAYDAY"
)
SMALL_NUMBERS = _words("2 3 3 4 5 6 7 8 9 10 12 14 20 24 36 45")
ORDER_WORDS = _words("order-number reference case PO booking")
MAIL_HOSTS = _commas("postbox.example, mail.example, inbox.example, quickpost.example, homemail.example")

SYNONYMS: dict[str, str] = {
    "please": "kindly", "still": "even now", "but": "however", "can": "could", "could": "can", "want": "need", "says": "shows",
    "shows": "says", "today": "this morning", "again": "once more", "order": "purchase", "parcel": "package", "package": "parcel",
    "just": "only", "only": "just", "thanks": "thank you", "new": "brand new", "help": "assist", "send": "mail",
    "bought": "purchased", "got": "received", "nothing": "not a thing", "someone": "somebody", "somebody": "someone",
    "anyone": "anybody", "hello": "hi", "hi": "hello", "cannot": "can't", "can't": "cannot", "never": "not once",
    "because": "since", "when": "at what point", "keeps": "carries on", "weeks": "wks", "already": "by now",
}  # fmt: skip

ABBREVIATIONS: dict[str, str] = {
    "please": "pls", "thanks": "thx", "you": "u", "your": "ur", "are": "r", "because": "cos", "account": "acct", "password": "pw",
    "tomorrow": "tmrw", "before": "b4", "weeks": "wks", "minutes": "mins", "and": "n", "with": "w/", "tonight": "2nite", "great": "gr8",
    "delivery": "dlvry", "order": "ordr", "without": "w/o", "people": "ppl", "number": "no.", "message": "msg", "something": "smth",
    "available": "avail", "subscription": "sub", "discount": "disc.", "technician": "tech", "information": "info",
}  # fmt: skip

GREETINGS = _lines("""
hi
hello
hello there
hi team
hi all
good morning
good evening
dear sir or madam
dear support
dear customer service
hey
hey guys
to whom it may concern
morning
hiya
hello again
greetings
evening folks
yo
hi {name}
""")

OPENERS = _lines("""
I hope you [can help|are well|are having a better day than me]
[this is the|] [second|third|fourth|fifth|tenth] time I [write|am writing|get in touch]
I [spoke|talked] to {name} [on the phone|in the chat|] {date} and [got nowhere|was told to write in|was cut off]
sorry to [bother|trouble|pester] you
[quick|small|silly|daft] question
[I'm not very good with|excuse me, I'm old and no friend of] computers
writing [on behalf of|for] {person}
not sure [if this is the right place|whom to ask|who deals with this]
[I've been|we have been] [a customer|buying from you|with you] since 20{yy}
[I am|frankly I'm] [fuming|livid|gobsmacked|at the end of my tether|flabbergasted]
[my English is not perfect, sorry|excuse my bad English]
following up on [my mail|ticket {order}|the chat with {name}]
[me again|it's me again], {me} [from {home}|]
[right|ok|so|well], here goes
the [chatbot|phone robot|FAQ] [was no help|sent me round in circles|told me to write here]
[long story short|to cut a long story short]
I'm [typing|writing] this [on the bus|from a campsite near {place}|with a baby on my arm|at {n} in the morning]
[first of all|before anything else], [nice shop|love your stuff|thanks for the quick answer last time]
our {order_word} is {order}
we run a [small|tiny] [café|bakery|guesthouse|nursery|workshop|choir|kennel] in {home}
I'm [sat|sitting] here [with a cuppa|scratching my head|with {person}] [trying to work this out|and none of us gets it]
""")

BACKGROUND = _lines("""
we [bought|got|ordered] [the|a] {item} [from you|online|] [{ago}|in {month}|for {occasion}]
it was [meant|supposed] to be [a present|a surprise|ready] for {occasion}
{person} [usually handles|normally does|is better at] [these things|this]
order [number|] [is|] {order}[, placed {date}|]
[customer|account] [number|no] {order}
I [live|am] in {home}, [{street}|out in the sticks|third floor]
it is about [the|my] {colour} {noun}[, the {brand} one|]
[the item is|it's] the {brand} {model}
[{person}|{name}] [says|thinks|reckons] [I should let it go|it's a scam|you're usually good about this]
I have [rung|called|mailed] [twice|{n} times|three different people] [already|]
[it's|this was] for {occasion}
I [have|attach] [screenshots|photos|the paperwork] [if you need them|]
[everything|it] [was|had been] fine [until {date}|for years]
I work [nights|shifts|offshore], so [email is best|don't ring before noon]
[bought|picked up] [together|at the same time] with [a|the] {item}
""")

ROUTING = _lines("""
[the menu|your form|the drop-down] [made me pick|only offered|put me under] {topic}
[is this|hope this is] [the right|still the] {topic} [desk|line|inbox]
[your colleague|the lady|someone] in {topic} [sent me here|told me to ask you|couldn't help]
[don't|please don't] [pass|forward|transfer] me to {topic} [again|, they won't help|]
[this is not|not really] a {topic} [question|matter|problem]
[chose|I clicked] {topic} [because nothing else fitted|in your form, sorry if wrong]
[last time|the other day] it was [about|] {topic}, [now this|today it's something else]
the {topic} page [on your website|in your help section|] [is useless|says nothing about it|is empty]
""")

FEELINGS = _lines("""
[honestly|frankly|seriously] [not good enough|what a shambles|this is a joke|I'm speechless|I expected better]
[this is|it's] [getting|becoming] [ridiculous|silly|tiresome]
[ABSOLUTE|a total|complete] [DISGRACE|nightmare|shambles|faff]
[I'm|I am] [not angry, just tired|at my wits' end|losing patience|a bit worried]
never had [such trouble|this] with {company}
[unbelievable|pathetic|shocking|gutted|cheers for nothing]
{n} [mails|calls|weeks] [later|in], [still nothing|and nobody cares|no answer]
no rush [though|], [whenever you get to it|just wondering]
[it's|that is] not the end of the world[, but still|]
[I'm|we're] [really|] [disappointed|puzzled|confused|chuffed otherwise]
my [blood pressure won't thank you|patience has limits]
lol [what|why|ok]
[gonna|I will] [leave|post] a review [about this|on {brand}pilot|]
[the kids are|{person} is] [in tears|asking every day|not impressed]
smh
""")

GENERIC_ASKS = _lines("""
[please|pls] [help|advise|look into it|get back to me|sort it]
[what|so what] [now|next|can be done|do I do]
[can|could] [someone|you|anybody] [help|take a look|ring me|sort this out]
any [news|update|idea|advice] [would be great|please|]
how do we [proceed|solve this|go on]
[let me|please let me] know
[call|ring] me [after {n}|on the usual number|on my mobile]
I [expect|await|look forward to] [an answer|your reply] [by {soon}|]
what [are my options|would you suggest|is going on]
please [escalate|pass this on|forward it to whoever can help]
""")

CLOSERS = _lines("""
thanks
thank you [very much|so much|in advance|kindly]
[many|kind|best|warm] [thanks|regards|wishes]
cheers
ta
[regards|best|yours], {me} {my_surname}
{me}
{me} {my_surname}, {home}
[sincerely|yours faithfully|respectfully], {my_surname}
[have a|enjoy a] [good|nice|lovely] [day|weekend|evening]
sent from my {my_phone}
thx {me}
ttyl
[hope|hoping] to hear from you [soon|before {soon}]
tel. 0{n}{n}{n} {n}{n}{n}
[much appreciated|appreciate it|bless you]
[greetings|hugs] from {home}
""")
