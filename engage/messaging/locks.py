"""Faults of our own set-up, by the carrier's code: the sender stops until an operator acts, and nothing is lost for it. A
text that was taken and then refused for one has reached nobody."""

LOCKS: dict[str, str] = {
    "20003": "The carrier does not accept our credentials.",
    "20005": "The carrier has suspended our account.",
    "21212": "The number we send from is not valid.",
    "21603": "No number to send from is set.",
    "21606": "The number we send from cannot send texts.",
    "21659": "The number we send from is not ours.",
    "21701": "The messaging service does not exist.",
    "21703": "The messaging service has no number.",
    "21705": "The messaging service is not valid.",
    "30002": "The carrier has suspended our account.",
    "30032": "The toll-free number is not verified.",
    "30034": "The number we send from is not registered.",
}
