# ruff: noqa: E501
"""Sentence grammars of the sample's topics about money and orders: billing, refund, cancellation, discount. Data only."""

from support_ticket_topic import Topic

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
