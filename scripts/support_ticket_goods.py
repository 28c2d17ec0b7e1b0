# ruff: noqa: E501
"""Sentence grammars of the sample's topics about goods and accounts: delivery, login, repair, stock. Data only."""

from support_ticket_topic import Topic

DELIVERY = Topic(
    direct="""
my [parcel|delivery] [has not arrived|still hasn't come|never showed up], [tracking|the tracking page] [says|claims] [delivered|"out for delivery"|"in transit"] [since {date}|]
the courier [left|dumped|threw] [it|my parcel|the box] [in the rain|behind the bins|at a neighbour I don't know|over the gate]
[{carrier}|the driver|the courier] [never rang|didn't ring] the [bell|doorbell] and [left a card|drove off|marked it as refused]
tracking [number|link] for {order} [hasn't|has not] [moved|updated] since {date}
[where is|any idea about] my [order|parcel|package], it was [due|promised|supposed to arrive] [{date}|{ago}]
[the|my] shipment is [stuck|held] [at customs|in the depot|at the {place} depot|in {place}] [for {n} days now|since {date}]
I need [the delivery address changed|to change the delivery address] [from {street}|] to {street} [before it ships|, {place}|]
the [package|box|parcel] was delivered to [the wrong|another] [house|flat|address|town], [it went to {street}|number {n} not mine]
[only|just] {n} of {n} [boxes|parcels] [arrived|were delivered], the [one|box] with the {item} is [missing|nowhere]
[my|the] delivery [slot|window] was [8 to 12|between 2 and 6|this morning] and [nobody|no one|no van] [came|turned up]
can the {item} be [delivered|shipped|sent] to [a pickup point|my office|a parcel locker] [in {place}|instead]
the [delivery|shipping] [estimate|date] [keeps|has kept] [slipping|moving], first {date}, then {date}
do you [ship|deliver] [to {place}|abroad|to the islands] and how long does it [take|usually take]
the parcel [came|arrived] [ripped open|soaked|half empty|crushed] and the {item} [was gone|had fallen out]
paid for [express|next day|overnight] [shipping|delivery] and it's [been|] [day {n}|a week|{n} days]
[{carrier}|the post office|the depot] says the label [was unreadable|has no house number|is missing a postcode] and [will return|is returning] the parcel to you
someone else signed for my [package|parcel], the signature says {surname} and [nobody here has that name|that is not me]
[I'm|we are] away [next week|until {soon}], please hold the [parcel|shipment|delivery] [till then|]
[the|your] van [blocked our drive|scraped our gate] during the delivery [{date}|] and the driver was [rude|impossible]
""",
    indirect="""
it's {date} [already|] and my doorstep is [still|] empty, {occasion} is [tomorrow|on {soon}]
[sat|waited|stayed] at home [all day|the whole {date}|from eight till six] for [nothing|a van that never came|you]
the map shows my {item} [doing laps around|parked in|on holiday in] {place} [for days|]
my neighbour {name} [at number {n}|] [seems to have|has apparently got] something with my name on it, or maybe not, [he|she] denies it
the bloke from {carrier} [wrote|scribbled] "[nobody home|no access]" although I was [standing|sat] [in the window|right there|in the garden]
we [moved|have moved] to {street} [{date}|last week] and my {item} is on its way to the old place
[a photo|the picture] shows my {item} in front of a [green|red|blue] door, [our door is white|that isn't our house]
[I opened|opening] the carton [and|,] there was [only packing paper|half of it|a brick-sized hole in the side], [no|where is the] {item}
it left [your warehouse|{place}] {ago} and [since then silence|nobody has seen it since]
will it [be here|reach {place}|make it] before {occasion}
the app says handed over to resident at 14:{mm}, I was [at work|in {place}] then
""",
    short="""
[parcel|package] [not here|missing|lost] [{order}|since {date}|]
where is [my order|my parcel|{order}]
[still waiting|no sign] [for|of] [the|my] {item}, {order}
tracking [stuck|dead|says nothing] [since {date}|]
[driver|courier] never [came|showed up]
[wrong|old] [address|street] on {order}, [ship|send] to {street}
[late|no] delivery [again|{date}]
when [will|does] [it|my {item}] [arrive|ship|come]
""",
    ask="""
where is [it|my parcel|my delivery] [now|]
[please|can you] [ask|chase|call] the courier
when will it be delivered
can you [send|ship] [it|another one] again
can I [pick it up|collect it] [at the depot|in {place}|myself]
please [give me|send] a [working|new] tracking [link|number]
can the delivery be [moved|shifted] to {soon}
please [open|start] a [search|trace|claim] with {carrier}
which day [should|can] I expect the delivery
""",
    aside="""
[the|your] courier was [lovely|quick|on time] [by the way|for once|]
the parcel [came|arrived] [fine|on {date}|in one piece]
[I know|and] the [package|parcel] [is|was] a separate [story|matter]
delivery [was fast|took {n} days], no complaints there
[the|your] driver left it with {name} [next door|], that was ok
""",
)

LOGIN = Topic(
    direct="""
I [can't|cannot|am unable to] log in [to my account|on the app|since {date}], [it says|the page says] [wrong password|invalid credentials|user unknown]
the password reset [email|link] [never arrives|doesn't come|has expired|goes to my old address]
[I am|I've been|my account is] locked out [after {n} attempts|since the update|] and [the captcha|the reset] [loops|spins] forever
the [verification|six digit|sms] code [isn't accepted|never arrives|arrives an hour late] [on my {phone}|]
[forgot|I have forgotten] my [password|username] and the [security question|hint] [is nonsense|makes no sense|was set up by {person}]
[two factor|2FA|the authenticator] [asks|wants] [for|] a code from [a phone|my {phone}] that I no longer [own|have]
my account [was|got] [hacked|taken over], [the email was changed|someone in {place} signed in|password changed without me]
after the [update|redesign|new version] the app [logs me out|signs me out|throws me out] [every few minutes|each time I open it]
the login [page|screen|form] [just reloads|stays blank|shows error {n}] [in {browser}|on my {phone}|]
my email [changed|is new], [it's now {email}|], and I [can't|cannot] sign in with [the old one|either]
[sign in|signing in|login] with [{social}|the {social} button] [fails|creates a second account|gives "access denied"]
[the site|your portal] says my username [{email}|] [does not exist|is already taken|is disabled]
[please|] unlock [my|our|the] account, user [is|] {email}, [too many attempts|{person} tried the old password]
I [registered|signed up] {ago} and [never got|still wait for] the activation [mail|email|link]
our [new colleague|trainee] {name} [needs|has no] access to the [business|team] account, [the invite expired|her login fails]
fingerprint [login|unlock] [stopped working|is gone] [since|after] the [update|new phone], and the pin is [rejected|unknown]
[there are|I seem to have] two accounts under my name and I can only get into the [empty|old] one
every time I [enter|type] my password it [clears|wipes|rejects] it, caps lock is [off|not on]
[received|got] [a mail|an alert] about a [sign-in|login] from {place}, [that was not me|wasn't us]
""",
    indirect="""
it keeps telling me [I don't exist|it doesn't know me|I'm a stranger], [after six years|rude], [name is|I am] {me} {my_surname}
I [bought|have] a new {phone} and now [your app|the little app] [doesn't know me|treats me like a stranger|wants numbers I can't get]
[nothing happens|it just shakes|a red line appears] when I [put in|type] [my details|the usual], [same on the laptop|tried {browser} too]
[the letter|the mail] you [are meant to|should] send me so I can [choose a new one|start over] [never shows|isn't in spam either]
[someone|somebody] [has been|was] in my account [last night|at 3 am], [there is a name {surname} in there|the address is now in {place}]
I [can't|cannot] see my [orders|history] any more, it [throws me|takes me] back to the [front|start] page [each|every] time
{person} [set|signed] everything up before [leaving|she passed away|he retired] and we [can't|cannot] get in
"are you a robot" for the [tenth|{n}th] time, [no I am not|I clicked every bus and bridge]
[the thing|the page] wants a code but my [old number|sim] is [gone|dead] since I moved [to {place}|carrier]
stuck [at the front door of your site|outside my own profile], any spare key
""",
    short="""
can't log in [since {date}|on the app|again|]
[reset|password] [link|mail] [not coming|expired|broken]
locked out [of my account|, please help|again]
password [doesn't work|rejected|forgotten]
[no|wrong] [sms|verification] code
login [broken|fails|error {n}] [in {browser}|on {phone}|]
[account|profile] [hacked|blocked|disabled], user {email}
""",
    ask="""
[please|can you] reset my password
[can|could] you unlock [my|the] account
how do I get [back in|into my account|access again]
please send [a new|another] [link|code] to {email}
[can|could] you [change|update] the email [on my login|] to {email}
please [delete|merge] the [second|old] account
what is my username
is [the|your] login [down|broken] [today|right now]
""",
    aside="""
[I|we] can log in [fine|again], [that's not it|so it isn't that]
I would check [online|] myself but [I've forgotten my password|the login page is down]
[the|your] website logged me out [twice|] while [writing|typing] this
[don't|no need to] tell me to reset my password, [did that|that is sorted]
my account [is under|login is] {email}
""",
)

REPAIR = Topic(
    direct="""
my {item} [is broken|stopped working|broke|packed up] [after {n} weeks|{date}|the day the warranty ended], it [won't|doesn't] [turn on|charge|start]
the [screen|display] of [my|the] {item} [is cracked|has a crack|flickers|stays black], [is that|is this] [covered|under warranty]
[how do I send in my {item} for repair|how do I get my {item} fixed|where can I get my {item} repaired], [we|I] bought it {ago}
the technician [came|was here] {date} and the {item} [broke again|still doesn't work|is worse than before]
my {item} [has been|is] [in|at] your [workshop|service centre|repair centre] for {n} weeks, [no news|any news]
the [battery|motor|hinge|zip|heating element|pump] [of|in] the {item} is [dead|worn out|faulty|defective] [already|after {n} months]
[it|the {item}] makes a [grinding|rattling|high-pitched|burning] [noise|sound] and [then stops|trips the fuse|smells of plastic]
need a [spare part|replacement part|new lid|new filter|new charger] for [my|the] {item}, model {model}
the {item} is leaking [water|oil|] [from the bottom|all over the floor|since {date}], [is it fixable|can it be repaired]
the warranty [card|claim] for {item} {model} [was rejected|got refused|says wear and tear], [I disagree|that's a joke]
can you [give|send] [me|us] a repair [quote|estimate], [out of warranty|bought in 2021|fell down the stairs]
[error|fault] code [E{n}|F{n}] [on|shown by] the {item}, [the manual says|it says] call service
[the|one] [wheel|handle|button|strap|leg] [came off|snapped|fell off] [my|the] {item} [on first use|after {n} days]
[firmware|software] update [bricked|killed] my {item}, [stuck at the logo|red light only|no reaction]
got [my|the] {item} back from repair with [a new scratch|someone else's charger|the same fault]
[dropped|I dropped] my {item} [in the sink|on the tiles], [do you fix|can someone mend] [such things|that]
[an engineer|a mechanic|your fitter] was [booked|scheduled] for {date} to fix the {item} and [never came|cancelled]
the {item} overheats and [shuts down|switches itself off] after {n} minutes, [defective|a defect I guess]
[which|what] [screws|tool|fuse] do I need to open the {model}, [want to fix it myself|the guide is no help]
""",
    indirect="""
there was smoke [coming out of|rising from] the {item} [this morning|{date}], [I pulled the plug|we ran]
[press|I press] the button and [nothing|silence|a sad little click], [it worked yesterday|bought {ago}]
{person} sat on [it|the {item}] and now it [bends the wrong way|looks like a banana|is in two pieces]
the {item} [sounds like a tractor|howls like a dog|sings], [it didn't use to|is that normal]
my {item} only works when I [hold it upside down|wiggle the cable|hit it] [, not ideal|]
it has been [on your bench|with your people in {place}] since {date}, [is it alive|any diagnosis]
water [everywhere|in the kitchen|under the {item}] [again|], [same place as last time|second time this year]
a [little|small] plastic [bit|piece|thing] [came off|fell out of] the {item}, [picture attached|looks important]
since [the storm|the power cut|the fall] the {item} [is dead as a doornail|shows stripes|blinks {n} times]
the {item} lasted [exactly|all of] {n} [days|weeks], [then poof|then nothing], [it should last years|poor quality]
won't hold a charge for more than {n} minutes, [my old one|the old {item}] did {n} hours
""",
    short="""
{item} [broken|dead|defective|won't start] [after {n} weeks|again|]
[repair|warranty] [status|update] [{order}|for my {item}|]
{item} [leaking|rattling|overheating|smells burnt]
need [spare|replacement] part for {model}
[cracked|black|flickering] screen, {item} {model}
[technician|engineer] [didn't come|needed] [{date}|]
error [E{n}|F{n}] on {item}
is [my|the] {item} still [under warranty|repairable]
""",
    ask="""
can [it|this] be repaired [or is it scrap|under warranty|]
[please|can you] send [a technician|someone to fix it|an engineer]
where do I [send|bring] it for repair
what would a repair cost
[is the warranty still valid|does the warranty cover this]
[can|could] I [get|order] the part [separately|]
when [will|is] my {item} [be fixed|ready]
I want it fixed or replaced
""",
    aside="""
the {item} itself [works|runs] [fine|well]
[the repair|the technician] [{ago}|last time] was [great|excellent|a joke]
my old {item} broke, [so|that's why] [I|we] [ordered|got] this
[it isn't|nothing is] broken, [don't worry|to be clear]
the warranty [is not|isn't] the [point|issue]
""",
)

STOCK = Topic(
    direct="""
when will the {item} be [back in stock|available again] [in {colour}|in size {n}|], it's been sold out [since {date}|for weeks|]
the website [says|shows] the {item} [as available|in stock] but [the shop in {place}|your store|the basket] [says sold out|has none]
[is|do you have] the {item} [in {colour}|model {model}|] [available|in stock] [at|in] [the {place} branch|your {place} store|the shop]
I [ordered|preordered] the {item} {ago} and [it's|the status is] still [on backorder|"awaiting stock"|out of stock]
[will you restock|will you ever restock|are you getting more of] the {colour} {noun}, [size|model] {model}
[has|have] you [discontinued|stopped making|dropped] the {brand} {noun}, [can't find it|it's gone from the catalogue]
please [notify|tell|email] me when [the|] {item} is [available again|back], the [alert|bell|notify] button [does nothing|is broken]
[could|can] you [reserve|set aside|hold] {n} {nouns} [for me|until {soon}|in {place}]
how many {nouns} do you have [left|in the warehouse|on hand], we need {n} [for {occasion}|by {soon}]
the [release|launch] of the new {brand} {noun} is {soon}, [when can I order|will there be enough|is there a waiting list]
your [stock|availability] [indicator|display|counter] [shows|says] {n} left [for days|all week] but I [can't|cannot] [add it to the basket|buy one]
[the size|the colour] I [need|want] is always [greyed out|unavailable|sold out], [will it return|any chance]
[is there|do you have] [an alternative|something similar|a successor] [to|for] the {brand} {noun}, which seems to be [out of stock|discontinued]
do you [still|also] [carry|sell|stock] {brand} [{nouns}|refills|cartridges|bags]
[supplier|your supplier] shortage [again|], you said the {item} would be restocked [in {month}|{ago}|by {soon}]
does the {place} [branch|store|outlet] have [any|the] {nouns} [on display|to look at|on the shelf]
[the|that] limited [edition|run] {item} sold out in {n} minutes, [is a second batch coming|more coming]
what is the lead time for {n} {nouns}, [nothing is in stock anywhere|your page only says "soon"]
""",
    indirect="""
I [drove|went] all the way to {place} [for the {item}|] and the shelf was [bare|empty], [the site had shown {n}|your page said otherwise]
[where have all the {colour} {nouns} gone|what happened to all the {colour} {nouns}], I've [looked|searched] [everywhere|in three towns]
"coming soon" since {month}, [how soon is soon|define soon]
[I'm|we're] after [a|one more] {colour} {noun} to match [the set|the ones we have], [are there any|does one exist somewhere]
[is anybody|are you] [still making|ever bringing back] the [old|classic|original] {brand} {noun}
we [need|want] {n} {nouns} for {occasion}, can you [get hold of|rustle up|find] that many by {soon}
the button is grey and says "notify me", [I've been notified of nothing|no message since]
[put me|can I go] on the list for the next [lot|batch|load] of {nouns}
[everything|all sizes] from [36 to 44|S to L] is crossed out, [do the big ones ever come|only giants left]
[could you look|can someone look] in the back room in {place} for [a|one] {item}, [last one was gone|{name} thought there was one]
my {person_bare} [wants|has her heart set on] the {brand} {noun} and I can't find [one|it] for [love nor money|any price]
""",
    short="""
{item} [back in stock|available] [when|again when]
[is|] {model} [available|in stock] [in {place}|]
[restock|waiting list|preorder] [for|of] {colour} {noun}
{item} sold out [again|everywhere|since {month}]
[any|how many] {nouns} left [in {place}|]
do you [have|stock|carry] {brand} {nouns}
[out of stock|unavailable] [since|] [forever|{date}], [{item}|model {model}]
""",
    ask="""
when will it be [available|back in stock|restocked]
[do you have|have you got] [any|one|{n}] left [in {place}|]
can [you|I] [reserve|preorder] one
[is it coming back|will there be more]
[which|what] [shop|branch|store] has it in stock
please [let me know|email me] when it's back
is there [something|anything] similar in stock
can you check the stock [in {place}|at the warehouse|]
""",
    aside="""
[the last one in stock|it was the last one], [I was lucky|lucky me]
[I see|it says] it's sold out [now|anyway]
[you|they] had plenty [in stock|on the shelf] [in {place}|when I ordered]
[I know|yes], the {colour} one is out of stock
I [would|could] take another [model|colour] [too|] if [that one is|they are] unavailable
""",
)
