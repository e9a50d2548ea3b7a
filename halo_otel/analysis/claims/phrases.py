"""What a model's words claim: that something worked, that it did not, that it will not be done.

RE2 expressions for bounded beginnings or ends of outputs. The words of a stranger are only ever compared
with them. Each is a lead, never a proof: detectors need a fact beside it (a failed call, an asked-again
step). The lists are our own, English only, written beside the answers of tau-bench's airline agent:
how they do there is no measure of how they do elsewhere.
"""

import re
from typing import Final

# The model declines the step itself. That a rule forbids something ("the fare cannot be changed") or that a
# tool failed ("I was unable to reach the server") is no refusal.
REFUSAL: Final = (
    r"(?i)^[^\n]{0,120}?\b("
    r"(i|we)( am|['’]m|'re| are)? (sorry|afraid|apologi[sz]e)[^.!?\n]{0,30}\b(can(not|['’]t| not)|won['’]t|unable|not able)\b"
    r"|(i|we) (can(not|['’]t| not)|won['’]t|will not|must not|am not able to|am unable to|['’]?m unable to)"
    r" ((in good conscience|simply|currently|really) )?(help|assist|comply|fulfil|fulfill|do (that|this)|provide|support|participate"
    r"|proceed|continue|process|perform|complete|carry out|engage|share|approve|authori[sz]e|execute|generate|discuss|answer|make)\b"
    r"|(i|we)( am|['’]m) (not able|unable|not allowed|not permitted|not comfortable|not willing|unwilling) (to|with)"
    r"|(i|we) (must|have to|need to|will have to|['’]ll have to) (respectfully |politely )?(decline|refuse)"
    r"|(i|we) (decline|refuse) to|as an ai( language)?( model| assistant)?,? i"
    r"|(goes |is )?against my (guidelines|policy|policies|programming|principles)"
    r"|not something i('m| am)? (can|able|comfortable|allowed|permitted)"
    r"|i(['’]d| would) (rather|prefer) not)"
)

# What is done to things, as people say it: “has been …”, “I …”.
DONE: Final = (
    r"added|adjusted|applied|approved|assigned|booked|cancel+ed|changed|charged|closed|completed|configured|corrected|created|deleted|deployed|edited"
    r"|exchanged|filed|finished|fixed|informed|installed|issued|marked|merged|modified|moved|notified|paid|placed|posted|processed|published|recorded"
    r"|refunded|registered|removed|renamed|replaced|rescheduled|reserved|resolved|restarted|saved|scheduled|sent|shipped|stored|submitted|transferred"
    r"|updated|uploaded|written"
)
# Work is said to be done.
CLAIM: Final = (
    r"(?i)(\bsuccessful(ly)?\b|\b(all|everything) (is |are |has been |)(set|done|complete|in order|taken care of)\b"
    rf"|\b(has|have|was|were|is|are)( now| all| both| already)?( been)?( successfully)? ({DONE}|complete|confirmed|delivered|done|made)\b"
    rf"|\b(i|we)(['’]ve| have|) (just |now |successfully |also )?({DONE})\b"
    r"|^\W{0,3}(done|completed|all done|finished|booked|sent|confirmed|refunded|updated|submitted|resolved)\b)"
)

# Something is said not to have worked, not to be known, or still to be done.
ADMISSION: Final = (
    r"(?i)(\bfail(ed|s|ure|ing)?\b|\berrors?\b|\b(un|not )able\b|\bcould ?n[o'’]t\b|\bcan ?n[o'’]t\b|\bcannot\b|\bcan['’]t\b|\bcouldn['’]t\b"
    r"|\bunfortunately\b|\b(sorry|apologi[sz]e|apologies)\b|\bissues?\b|\bproblems?\b|\btrouble\b|\bdifficult(y|ies)\b|\bunavailable\b|\bnot (available|found|possible|complete|completed"
    r"|yet|enough|sufficient|exist|valid|supported|working|respond|been|successful|go through|have)\b|\bno (longer|results?|such|matching|data|information|records?)\b"
    r"|\b(time|timed)[ -]?out\b|\b(did|does|do|was|were|is|are|has|have|would|wo)n['’]t\b|\b(did|does|was|were|is|are|has|have) not\b"
    r"|\b(retry|try again|trying again|again later|later on|instead|alternative(ly)?|however|although|despite|except|pending|incomplete|remains?|still"
    r"|missing|blocked|rejected|denied|declined|refused|skipped|partial(ly)?|outstanding|manual(ly)?|follow[ -]?up|escalat\w+|human agent|insufficient|limitation|invalid|exceed\w*)\b)"
)

_WORD: Final = re.compile(r"[^\W_]+")
# Words that carry no meaning of their own in a question or a query.
_EMPTY: Final = frozenset(
    "a an and are as at be by can could do for from have i in is it me my of on or please the this that to us we with you your".split()
)


def words(text: str) -> frozenset[str]:
    """The meaningful words of `text`, in lower case, plurals as singulars; all of them if none is meaningful."""
    found = frozenset(_singular(word) for word in _WORD.findall(text.lower()))
    return found - _EMPTY or found


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity, 0..1; of nothing with anything 0."""
    return len(one & other) / len(one | other) if one and other else 0.0


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word
