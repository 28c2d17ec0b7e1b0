# ruff: noqa: E501
"""Sentence grammars of the sample's eight topics, for `build_support_tickets.py`. Data only.

They know nothing of customers, defects or files. One sentence a line: `[a|b|]` chooses, `{slot}` is filled.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """What people write about one topic; each field holds one sentence grammar a line.

    `direct` uses the topic's everyday words, `indirect` tells the situation without them, `short` are
    fragments, `ask` are requests, `aside` mentions the topic in a message about something else.
    """

    direct: str
    indirect: str
    short: str
    ask: str
    aside: str


BILLING = Topic(
    direct="""
I [was|have been|got] charged [twice|two times|double] for [order {order}|the same {item}|one {item}] and my [card|bank] shows both
[billing question: |]there are [two|three|several] [billing entries|charges] of {amount} on my [statement|credit card|account] [from {date}|that I do not recognise|]
the invoice [for {order}|you sent {date}|from {month}] [says|shows|lists] {amount} but [we agreed|the website said|the basket said] {amount}
[can't|cannot|could not] find the invoice for my {item} [anywhere|in my emails], [our accountant|the tax office|my boss] wants [it|a copy]
my [monthly|annual|quarterly] [bill|billing] [went up|jumped|has gone] from {amount} to {amount} [without any notice|for no reason I can see|overnight]
the VAT [number|rate|line] on [the|your] [invoice|receipt] is [wrong|missing|not ours], it should [be made out to|say] {company}
you [took|debited|deducted] {amount} from my [account|card|bank] [on {date}|twice this month|when it should have been {amount}]
my [payment|card payment|direct debit] [failed|was declined|bounced] but [the bank says|{bank} says] the money [left|has gone out]
[why does|how come] my [statement|bill|invoice] [show|have] a [service|handling|processing|mystery] fee of {amount}
the [billing|invoice] address [on file|printed on it] is [our old one|still {street}|the wrong one] [and needs changing|]
my [credit|debit] card [expired|was replaced|got swapped] and [I need to update|the page won't let me change] the payment [details|method]
I paid by [bank transfer|card|cheque] {ago} and your [system|reminder] [still says|insists] the invoice is [overdue|unpaid|open]
got a [payment reminder|late fee|billing letter|final notice] from billing over {amount}, [which|and that] was [settled|paid] {ago}
[received|got] an invoice for [something|a {item}] [I never ordered|that isn't mine|nobody here ordered]
your billing is wrong, we were [billed|invoiced|charged] for {n} [units|seats|pieces] [although|when] we [only|] took {n}
the instalment [plan|agreement] says {amount} a month, yet {amount} was [debited|collected|taken] [on {date}|]
[the|your] receipt doesn't [match|add up to] what [was charged|I paid], [the difference is|it's off by] {amount}
the exchange rate on [my bill|the charge] [looks|seems] off, {amount} turned into {amount} on my [statement|card]
we need [a corrected|a proper|an itemised|one combined] invoice with [our PO number|the cost centre|the tax id] on it
your [billing|accounts|finance] [team|department|people] [keeps|keep] [sending|posting] statements to {name} who left [us|] {ago}
""",
    indirect="""
{amount} has vanished from {person}'s [card|current account] and [your|the shop's] name is [next to it|on the line]
I was [looking|going] through [my bank app|the numbers|our books] and the sum for {month} [is|comes out] {amount} [higher|more] than [it should be|last time]
[my accountant|our bookkeeper|the auditor] [is asking|keeps asking] for the paper that goes with {order}
[the figures|the numbers|your sums] don't add up, {n} times {amount} is not {amount}
[the bank|{bank}] [rang|called|texted] me about [a second|another|an odd] [transaction|withdrawal] [of {amount}|in your name]
you have [dipped into|helped yourselves from] my account [again|twice], [and I want to know what for|what is it for]
[on paper|in your books] we owe you {amount}, [in reality|but] we sent that [across|over] {ago}
[somebody|someone] in [your accounts office|the office] put our old company name on [the document|it], we are {company} now
[I see|there is] a line called ["{brand} serv"|"misc"|"adj. {n}"] for {amount} and [nobody can tell me|I have no idea] what [it|that] is
my plastic got renewed by {bank} so the [old sixteen digits|number you hold] will stop working [on {date}|soon]
""",
    short="""
[double charged|billing mistake] [again|for {order}|{amount}]
[wrong|missing] invoice [for {order}|{month}]
[charged|billed] {amount} instead of {amount}
need [a|the] [VAT|tax] [invoice|receipt] for {order}
payment [declined|failed] [but money gone|twice]
billing [error|question], [unknown|strange] charge {amount} [on my card|on {date}|]
[bill|invoice] [too high|makes no sense] this month
[change|update] [card|payment] [details|method]
""",
    ask="""
[please|can you|could you] [correct|fix|reissue] the invoice
what [is|was] this charge for
[please|kindly] send [me|us] [an itemised bill|a copy of the invoice|the receipt as pdf]
[can|could] someone [from billing|in accounts|from your billing team] [check|explain|look into] [this|the charge]
please [reverse|void|remove] the [second|extra|duplicate] charge
can you split the bill [across two cards|by department]
which [billing|payment] [period|month] does [this|it] cover
is this a billing [mistake|error] [or what|on your side|]
""",
    aside="""
the invoice was [fine|correct] [by the way|this time|]
[I have paid|paid already], my card was charged {amount} [on {date}|]
[I know|and yes] billing [is a different team|has its own queue|can't help with this]
[my|the] bill [for {month}|] [came|arrived] and that [part is okay|one is right]
I [already|] sent the receipt [in|to your colleague] {ago}
""",
)

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

REFUND = Topic(
    direct="""
I [returned|sent back] the {item} {ago} and [still have nothing|the refund hasn't come|am still waiting for my money]
[where is|what happened to] my [refund|money] [for {order}|of {amount}|], [the parcel got back to you {date}|you confirmed the return {date}]
I [want|would like|demand] my money back for [the|this] {item}, it [is not as described|doesn't fit|looks nothing like the photo]
[you|your colleague {name}] promised [a|me a] [full|partial] refund [of {amount}|], [only {amount} came|nothing came|I got a gift card instead]
how do I [return|send back] the {item} [I bought {ago}|] and get [reimbursed|my money back|a refund]
the return [label|form] [won't print|is missing|has expired] and the [14|30] days [end|run out] {soon}
the refund went to [a card|an account] [that no longer exists|I closed|with {bank} that I've closed] 
[I don't want|we no longer want] [a voucher|store credit|another one], [I want|we want] the {amount} [back|refunded]
you [refunded|paid back|credited] {amount} but the {item} [cost|was] {amount}
the {item} [is|was] [too small|too big|the wrong colour|not for us], [returning it|sending it back], [it's unopened|still sealed|tags on]
[your|the] return [centre|warehouse] [says|claims] the {item} was [used|worn|incomplete] and [refuses|won't give] a refund
my return [request|{order}] [was rejected|got declined|is "under review"] [for {n} weeks|]
[can|could] I exchange the {item} for [another size|a different colour|the bigger one] or do I [return|send back] and reorder
[who pays|do I pay] the return postage, [your policy is unclear|the label was {amount}]
I was [told|assured] the money would be [back in my account|credited] within {n} [working days|days]
sent back {n} [things|items] in one box and [only one|just the {item}] was [credited|reimbursed]
[the|that] {item} was [a gift|from {person}], [can it be returned|how does a refund work] without a receipt
the [credit note|refund confirmation] says {date} and [my bank|{bank}] has [seen|received] nothing
[reimburse|compensate] me for the [return postage|hotel|taxi], {amount}, [as {name} agreed|receipts attached]
""",
    indirect="""
it has been [with you|in your warehouse] for {n} [weeks|days] and my wallet is [still|] {amount} lighter
the {item} [isn't|is not] what [the photos|you] promised, [it goes back|back it goes], [I'd rather have the cash|keep it]
[I have|here is] the [proof of postage|post office slip], you've had the {item} since {date}, [now your turn|so what is keeping you]
{person} already [has|got] [one|the same {item}], so this one can [go home to you|go back], [box never opened|unopened]
[the trousers fit|the shoes fit|this jacket fits|these curtains fit] [like a tent|nobody in this family], what [do I do|now]
you have [the goods|my {item}] and the cash, [seems a bit unfair|that's one too many]
[I changed my mind|not happy with it|it isn't my taste], [how long do I have|is it too late]
[{name} on the phone|your chat|the lady on the phone] said five [working|business] days and that was {ago}
I [posted|dropped off] the {item} at the {place} [shop|counter] {ago}, and [nothing|not a penny] has reached {bank}
please don't send me [another|a new] one, I just want [to be square|what I spent]
""",
    short="""
[refund|money back] [please|now|for {order}]
[still|] no refund [after {n} weeks|for {order}|for the {item}]
[return|returning] {order}, [label please|too small|wrong colour]
want my [money|{amount}] back
refund [short by|missing] {amount}
how to [return|send back] [a|the] {item}
[sent it back|returned] {ago}, [nothing|no money]
""",
    ask="""
[when|how soon] will I [get|see|have] my money
please [refund|pay back|return] the {amount} [to my card|to the account I paid from|]
[can|could] you [send|email] me a return label
please confirm the refund [in writing|]
[has my return arrived|has my return been processed|did my return come in]
I [expect|want] a full refund
can I [bring|take] it back [to the shop in {place}|in person]
how long does a refund [take|usually take]
""",
    aside="""
the refund for [the other thing|my old {item}] [came through|arrived] [{date}|], thanks
I know [my|the] refund is [separate|a different ticket|being handled]
I [don't|do not] want [a refund|my money back], [just|only] [this sorted|an answer]
I sent the other {item} back [{ago}|], [that is done|forget that one]
[normally|usually] [I'd|I would] just return [it|such things]
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

CANCELLATION = Topic(
    direct="""
I [want|would like|wish|need] to cancel my [subscription|membership|{plan}|contract] [with immediate effect|from {soon}|at the end of the month]
please cancel [order {order}|my order {order}|{order}], [ordered by mistake|I clicked twice|found it elsewhere|no longer needed]
[I tried|tried] to cancel [online|in the app|the {plan}] but [there is no button|the button is greyed out|it keeps offering me a pause]
my [free trial|trial] ends {soon} and I [don't want|do not want] [it to renew|the {plan}|to continue]
[the|my] {plan} [renewed|was extended] [automatically|by itself] [on {date}|] [although|even though] I [cancelled|gave notice|unsubscribed] {ago}
[question on cancellation: |][how long is the notice period|how much notice do I give] [for the {plan}|], [I'm moving abroad|we are closing the office]
I hereby [terminate|cancel|give notice on] [our contract|my contract|the {plan}], [customer|account] {order}, [effective|as of] {date}
[you|your system] [confirmed|acknowledged] my cancellation [{ago}|on {date}] and [yet|now] [a new box arrived|the {plan} is active again]
can I still [cancel|stop] [the order|{order}] before it [ships|leaves], [placed|ordered] [an hour ago|this morning|{date}]
[please|] close my account [and delete my data|for good|and everything in it], I [no longer|don't] use [it|your service]
{person} [died|passed away|went into care] and I have to [cancel|end|wind up] [her|his] {plan}
[unsubscribe|take] me [from|off] the {plan}, I've [asked|written] {n} times
[instead of a cancellation|] I [want|would like] to pause the {plan} [for {n} months|until {month}], or [end|cancel] it if [that's not possible|you can't]
the cancellation [link|form|page] [gives|shows] an error [{n}|], [is that on purpose|how convenient]
we [ordered|have] {n} {plan} [subscriptions|seats] and want to [drop|cancel] {n} of them
cancel the [technician|installation] appointment [on {date}|], [can't make it|we sorted it ourselves]
switching to [{brand}|a competitor|{company}], so please [end|terminate] [the contract|my membership|the {plan}] [{date}|]
[cancellation request: |]I withdraw from the [contract|purchase] within [14|fourteen] days, [order|ref] {order}
""",
    indirect="""
[we don't|I don't|nobody here wants to] [use|need] the {plan} [any more|any longer], [how do we get out|so that was that|let's end it]
[it's not you, it's me|nothing personal], but [this is my last month|we part ways {soon}|I'm off]
how do I [get out of|leave|stop] [this thing|the {plan}], there's no way out [in the menu|that I can see]
[the boxes|the magazines|the capsules] pile up [in the hallway|here], [no more please|enough, thank you]
[please don't|do not] send the {item}, I [bought|found] [one|it] [locally|in {place}|cheaper at {company}]
I [hit|pressed] buy twice, [one|the second] of the two [{nouns}|orders] [should not go out|can go]
[I'm moving|we move] to {place} where you don't [operate|do business], so [{soon} is the last day|my time with you ends]
[I only wanted|only meant] to try it [for a month|out], [not marry you|not forever]
[I'm|we are] leaving, [take me off|strike me from] your [books|list|club], [customer|member] {order}
[changed my mind about|second thoughts on] {order}, [hold everything|please stop it before it goes out]
my [kids|flatmate] signed me up for the {plan} [by accident|while playing], I [never|didn't] [want|wanted] it
""",
    short="""
cancel [my subscription|{order}|the {plan}|my membership] [please|asap|now|]
[end|stop|terminate] my {plan} [by {soon}|please|]
want to cancel, [no button|how]
[please cancel|cancellation please,] [order|] {order}, [mistake|too late]
[no more|stop the] {plan}
[close|delete] my account [please|]
cancellation of {order}
unsubscribe me
""",
    ask="""
please [confirm|acknowledge] [the|my] cancellation [by email|in writing|]
[can|could] you cancel [it|that] [for me|today|before it ships]
[how does cancellation work|where do I cancel]
please [stop|end] the [subscription|membership|renewal]
when does [my cancellation take effect|my contract end|the {plan} run out]
is it too late [to cancel|for a cancellation]
please make sure it doesn't renew
I want [a|your] cancellation [number|confirmation]
""",
    aside="""
if [this|it] isn't [solved|sorted] [by {soon}|] I will cancel [my {plan}|my membership|everything]
I [was|am] [this close|very near] to cancelling [the {plan}|altogether]
no need to cancel [anything|the order], [just|I only want] [help|an answer]
[we|I] only renewed the {plan} [{ago}|last month]
my old subscription [ended|was cancelled] {ago} [anyway|, that's done]
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

DISCOUNT = Topic(
    direct="""
the [voucher|coupon|discount|discount] code {code} [doesn't work|is rejected|says invalid|says expired] [at checkout|in the basket|]
I [forgot|wasn't able] to enter my [voucher|discount code|discount {code}] when I ordered [{order}|the {item}], [can it be applied|can you take it off] [afterwards|now]
do you [have|give|offer] a [student|senior|teacher|NHS|loyalty|bulk] discount [on|for] [{nouns}|the {plan}|large orders]
the newsletter [promised|said] [10|15|20] % discount [for new customers|my first order] and I [never got|can't find] the code
[I bought|bought] the {item} {date} for {amount}, [today|now] it's on sale for {amount}, [do you match|can I get the difference]
my gift card [has|shows] [no balance|{amount} left|an error] [although|but] [it is new|I never used it|{person} loaded {amount}]
the [black friday|spring sale|summer sale|weekend] [deal|offer|price] [isn't|wasn't] [applied|taken off] [in my basket|to {order}]
[can|is it possible to] combine [two|the] vouchers, {code} and {code}
[my|our] loyalty points [are gone|have vanished|were not added] [after|for] [{order}|the last order], [should be|there were] {n}00
the price on the [shelf|website|banner] says {amount} [off|], at checkout it [was|is] {amount}
refer a friend: {name} [ordered|signed up] with my link and [I got no|where is my] [bonus|credit|reward]
your [competitor|rival] {company} sells the {item} for {amount}, do you [price match|beat that|have a better offer]
if I [take|buy|order] {n} {nouns}, [is there|do I get] [a better price|a discount|a quantity discount]
the birthday [voucher|coupon] [you mailed|for {person}] [expired|ran out] [before it arrived|on {date}], [can you extend it|please renew it]
[code|coupon] {code} says "[minimum spend|not valid for] {amount}" [but|and] my basket is {amount}
[the|a] half price offer [on the {plan}|] [was|is] [only for new customers|gone], [why are loyal ones punished|that's unfair]
[discount or not, |]free shipping [over|above] {amount} was [advertised|promised] and [I still pay|it adds] {amount}
the cashback [promotion|campaign] for the {item} [wants|needs] a serial number [, which one|that isn't on the box]
["buy {n} get one free"|the multi-buy promotion] [does nothing|isn't triggered] [with|for] {nouns}
""",
    indirect="""
[it was|I saw it for] {amount} [in the advert|on the poster|in my inbox] and now {amount}, [which is it|how come]
I [typed|put] {code} [in the little box|in the field] and [nothing|the total] [changed|happened|stays the same]
we'd [take|buy] {n} of [them|the {nouns}] for the [school|club|office], [what can you do for us|can we talk numbers]
[{amount} is a bit steep|too dear for me|a bit pricey], [any room there|would you take {amount}|is there a cheaper way]
I'm [a student|a pensioner|a nurse|on a tight budget], [does that count for anything|anything you can do]
[the leaflet|the flyer|the card] in the box [offered|had] [a little thank you|something off next time], [it doesn't do anything|how do I use it]
bought it {date}, [one day|two days] later it drops by {amount}, [that stings|I feel silly]
[twelve|ten|eleven] years with you and new people [pay|get it for] {amount} [while I pay|and I pay] {amount}
{name} said mentioning [her|his] name would make it cheaper for [both of us|us both]
my [stamps|stars|points] [on the card|in the app] [went back to zero|don't count], I was saving [them|] for {occasion}
""",
    short="""
[code|voucher|coupon] {code} [not working|invalid|expired]
[forgot|missed] [the|my] [voucher|discount] on {order}
[any|] [student|bulk|loyalty] discount [for {nouns}|on the {plan}|]
price [dropped|went down] [a day|right] after I bought
discount {code} [missing|won't apply]
gift card [empty|not accepted|error]
[sale|offer] price [not applied|gone] [{order}|at checkout]
points [missing|gone] [after {order}|]
""",
    ask="""
can you [apply|add] the [voucher|discount|code] [afterwards|now|to {order}]
[please|could you] send me a [new|working] code
is there [any|a|no] discount [for that|on it|]
do you price match [or give a discount|]
when is the next sale
can I [still|] get the [offer|sale price|discount|discount]
how do I [redeem|use] [the voucher|my points|the gift card]
please honour the [advertised price|discount|sale price]
""",
    aside="""
[I|we] got it [in the sale|with a voucher|at a discount], [if that matters|not that it matters]
[and no|no], I don't want a [voucher|discount|coupon] [as an apology|]
[nice|thanks for the] [coupon|voucher] [in the box|you sent], [by the way|though]
paid full price, no discount, [nothing|{amount}]
[don't|please don't] [fob me off|come] with a [gift card|10 % voucher]
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

TOPICS: dict[str, Topic] = {
    "billing": BILLING,
    "delivery": DELIVERY,
    "refund": REFUND,
    "login": LOGIN,
    "cancellation": CANCELLATION,
    "repair": REPAIR,
    "discount": DISCOUNT,
    "stock": STOCK,
}
