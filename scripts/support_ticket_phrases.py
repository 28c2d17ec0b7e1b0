"""The sample's eight topics, for `build_support_tickets.py`. They know nothing of customers, defects or files."""

from support_ticket_goods import DELIVERY, LOGIN, REPAIR, STOCK
from support_ticket_money import BILLING, CANCELLATION, DISCOUNT, REFUND
from support_ticket_topic import Topic

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
