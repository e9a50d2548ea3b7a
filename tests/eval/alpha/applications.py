"""Four trades: three to tune on, one to report on."""

from typing import Final

from tests.eval.alpha.application import Application, Argument, Tool, number, text


def _tool(name: str, description: str, seconds: float, **arguments: Argument) -> Tool:
    return Tool(name=name, description=description, arguments=arguments, seconds=seconds)


def _words(told: str) -> tuple[str, ...]:
    return tuple(told.split())


_CLAIM_FIELDS = {
    "reserve_band": ("A2", "B1", "B3", "C1"),
    "handler_group": ("motor", "storm", "liability"),
    "coverage_state": ("confirmed", "partial", "excluded"),
}
CLAIMS: Final = Application(
    name="insurance claims desk",
    service="claims-desk",
    lead="claims_coordinator",
    workers=("policy_reader", "loss_assessor", "settlement_writer"),
    workflow="claims_intake",
    models=("gpt-4.1", "gpt-4.1-mini"),
    provider="openai",
    duty="You settle motor and household claims for Northgate Mutual.",
    tools={
        "open": _tool("get_claim", "The claim with its policies.", 0.32, record=text("claim_id")),
        "inspect": _tool("get_policy_terms", "Terms of one policy.", 0.51, part=text("policy_no")),
        "find": _tool(
            "search_precedents",
            "Earlier claims that resemble a description.",
            0.9,
            query=text("description"),
            page=number("page", optional=True),
        ),
        "check": _tool(
            "verify_coverage",
            "Test a claim against an underwriting rule.",
            0.44,
            record=text("claim_id"),
            rule=text("rule", "deductible", "period", "exclusion"),
        ),
        "write": _tool(
            "update_claim",
            "Set one field of a claim.",
            0.38,
            record=text("claim_id"),
            field=text("field", *_CLAIM_FIELDS),
            value=text("value"),
            version=number("expected_revision", optional=True),
        ),
        "send": _tool(
            "post_letter",
            "Send a letter through the outside mail provider.",
            0.7,
            to=text("recipient"),
            text=text("body"),
            tone=text("template", "plain", "formal", optional=True),
        ),
        "start": _tool(
            "request_appraisal", "Order an appraisal report.", 0.6, record=text("claim_id")
        ),
        "poll": _tool(
            "appraisal_status", "Whether an appraisal is ready.", 0.2, job=text("appraisal_id")
        ),
        "rare": _tool(
            "freeze_claim", "Stop all payments of a claim.", 0.3, record=text("claim_id")
        ),
    },
    missing_tools=("get_policy_details", "approve_payout"),
    record_id="CLM-{0}",
    part_id="NM/{0}-H",
    job_id="apr_{0}",
    names={
        "record": "claim_id",
        "state": "stage",
        "version": "revision",
        "owner": "claimant",
        "mail": "contact",
        "parts": "policies",
        "part": "policy_no",
        "amount": "sum_insured",
        "job": "appraisal_id",
        "hits": "precedents",
    },
    style="json",
    states=("intake", "assessment", "settlement"),
    fields=_CLAIM_FIELDS,
    rules=("deductible", "period", "exclusion"),
    words=_words(
        "hail windscreen deductible adjuster liability burglary endorsement salvage subrogation "
        "indemnity premium bumper flood cellar roof tile witness garage estimate reserve lapse"
    ),
    requests=(
        "Where does {record} stand and is the loss covered?",
        "Please look into {record}; the broker asks what we pay.",
        "Give me an overview of claim {record}.",
    ),
    changes=(
        "For {record} set {field} to {value} and let the claimant know.",
        "{record}: {field} should be {value}. Check coverage first, then write to them.",
    ),
    done=(
        "{record} now has {field} = {value}; the claimant has been written to.",
        "I changed {field} of {record} to {value} and sent the letter.",
    ),
    told=(
        "{record} is covered under {detail}; the file is in order.",
        "The claim {record} rests on {detail}. Nothing is open.",
    ),
    sorry=(
        "I could not finish {record}: {why}. A colleague has to take over.",
        "Unfortunately {record} is not settled, because {why}.",
    ),
    problems=(
        ("PolicyStoreTimeout", "policy store gave no answer within {n} ms"),
        ("LedgerConflict", "ledger row {n} is held by the nightly close"),
        ("ScanUnreadable", "page {n} of the scan is not readable"),
    ),
)

_PIPE_FIELDS = {
    "retry_policy": ("linear", "exponential", "off"),
    "owner_team": ("ingest", "finance-data", "growth"),
    "schedule": ("hourly", "daily", "paused"),
}
PIPELINE: Final = Application(
    name="data pipeline on-call",
    service="oncall-copilot",
    lead="incident_lead",
    workers=("log_digger", "lineage_tracer", "fixer"),
    workflow="incident_graph",
    models=("claude-sonnet-4-5", "claude-haiku-4-5"),
    provider="anthropic",
    duty="You are on call for the warehouse pipelines of Fernhill Retail.",
    tools={
        "open": _tool("describe_dag", "State of a DAG and its tasks.", 0.5, record=text("dag")),
        "inspect": _tool(
            "tail_task_log", "The last lines of a task's log.", 1.1, part=text("task")
        ),
        "find": _tool(
            "grep_runbooks",
            "Search the runbooks.",
            0.35,
            query=text("pattern"),
            page=number("offset_page", optional=True),
        ),
        "check": _tool(
            "dry_run",
            "Run a DAG's checks without side effects.",
            2.2,
            record=text("dag"),
            rule=text("suite", "schema", "freshness", "volume"),
        ),
        "write": _tool(
            "patch_dag_config",
            "Change one setting of a DAG.",
            0.8,
            record=text("dag"),
            field=text("setting", *_PIPE_FIELDS),
            value=text("to"),
            version=number("etag", optional=True),
        ),
        "send": _tool(
            "page_channel",
            "Post to the chat of the stakeholders (hosted elsewhere).",
            0.4,
            to=text("channel"),
            text=text("message"),
            tone=text("urgency", "low", "high", optional=True),
        ),
        "start": _tool("trigger_backfill", "Start a backfill.", 0.9, record=text("dag")),
        "poll": _tool("backfill_progress", "How far a backfill is.", 0.25, job=text("backfill")),
        "rare": _tool("pause_dag", "Stop scheduling a DAG.", 0.3, record=text("dag")),
    },
    missing_tools=("restart_worker", "tail_dag_log"),
    record_id="wh_orders_{0}",
    part_id="task-{0}-load",
    job_id="bf{0}",
    names={
        "record": "dag",
        "state": "health",
        "version": "etag",
        "owner": "on_duty",
        "mail": "channel",
        "parts": "tasks",
        "part": "task",
        "amount": "rows",
        "job": "backfill",
        "hits": "matches",
    },
    style="lines",
    states=("green", "late", "red"),
    fields=_PIPE_FIELDS,
    rules=("schema", "freshness", "volume"),
    words=_words(
        "partition watermark upstream skew shuffle executor spill checkpoint late-arriving dedupe "
        "snapshot compaction manifest quota heartbeat scheduler sensor parquet bucket lag tombstone"
    ),
    requests=(
        "{record} is late again, what is going on?",
        "Pager went off for {record}. Summarise the state.",
        "why did {record} not land this morning",
    ),
    changes=(
        "Set {field} of {record} to {value} and tell the channel.",
        "please switch {record} to {field}={value} (dry run before!) and post it",
    ),
    done=(
        "Done: {record} runs with {field}={value}, stakeholders informed.",
        "{field} is {value} on {record} now; posted to the channel.",
    ),
    told=(
        "{record} waits on {detail}; it will land within the hour.",
        "Root of the delay of {record}: {detail} ran long. Back to normal.",
    ),
    sorry=(
        "{record} is still broken: {why}. Escalating to a human.",
        "I failed to fix {record}, {why}.",
    ),
    problems=(
        ("ConnectionResetError", "peer closed the connection after {n} bytes"),
        ("QuotaExceeded", "slot quota of project exhausted ({n} waiting)"),
        ("LogStoreGone", "log chunk {n} has been rotated away"),
    ),
    versions=("2026.11.2", "2026.11.3"),
)

_HIRE_FIELDS = {
    "interview_stage": ("screening", "panel", "offer"),
    "shortlist": ("yes", "no", "later"),
    "recruiter": ("Ines", "Malte", "Priya"),
}
RECRUITING: Final = Application(
    name="recruiting assistant",
    service="talent-assistant",
    lead="talent_partner",
    workers=("profile_analyst", "market_scout", "scheduler"),
    workflow="candidate_flow",
    models=("gemini-2.5-pro", "gemini-2.5-flash"),
    provider="gcp.vertex_ai",
    duty="You support the recruiters of Lindqvist Robotics.",
    tools={
        "open": _tool("load_candidate", "A candidate's file.", 0.27, record=text("candidate_ref")),
        "inspect": _tool(
            "read_application",
            "One application of a candidate.",
            0.36,
            part=text("application_ref"),
        ),
        "find": _tool(
            "search_talent_pool",
            "Search profiles.",
            1.3,
            query=text("keywords"),
            page=number("cursor", optional=True),
        ),
        "check": _tool(
            "screen_compliance",
            "Screen a candidate against a hiring rule.",
            0.6,
            record=text("candidate_ref"),
            rule=text("policy", "work_permit", "conflict", "seniority"),
        ),
        "write": _tool(
            "set_candidate_attribute",
            "Change one attribute of a candidate.",
            0.33,
            record=text("candidate_ref"),
            field=text("attribute", *_HIRE_FIELDS),
            value=text("new_value"),
            version=number("file_version", optional=True),
        ),
        "send": _tool(
            "send_candidate_email",
            "Mail through the outside campaign tool.",
            0.8,
            to=text("address"),
            text=text("content"),
            tone=text("style", "warm", "neutral", optional=True),
        ),
        "start": _tool(
            "order_background_check", "Order a background check.", 0.7, record=text("candidate_ref")
        ),
        "poll": _tool(
            "background_check_state", "State of a background check.", 0.2, job=text("order_ref")
        ),
        "rare": _tool(
            "anonymise_file", "Remove the person from a file.", 0.5, record=text("candidate_ref")
        ),
    },
    missing_tools=("load_candidate_profile", "book_flight"),
    record_id="cand-{0}",
    part_id="app-{0}-x",
    job_id="bgc-{0}",
    names={
        "record": "candidate_ref",
        "state": "pipeline_state",
        "version": "file_version",
        "owner": "name",
        "mail": "email",
        "parts": "applications",
        "part": "application_ref",
        "amount": "expected_salary",
        "job": "order_ref",
        "hits": "profiles",
    },
    style="markdown",
    states=("new", "in progress", "decided"),
    fields=_HIRE_FIELDS,
    rules=("work_permit", "conflict", "seniority"),
    words=_words(
        "mechatronics notice-period relocation referral portfolio onsite mentoring bilingual "
        "firmware sabbatical reference shortlist headcount offer tenure certificate workshop kinematics"
    ),
    requests=(
        "Summarise {record} for the hiring manager.",
        "Is {record} a fit for the controls team?",
        "What do we know about {record}?",
    ),
    changes=(
        "Move {record}: {field} -> {value}, and mail them.",
        "Please put {field} = {value} for {record} after the compliance screen, then write a mail.",
    ),
    done=(
        "{record} is updated ({field}: {value}) and has got a mail.",
        "All set, {field} of {record} is {value} and the mail is out.",
    ),
    told=(
        "{record} looks strong; {detail} is the relevant application.",
        "For {record} the file shows {detail}, worth a call.",
    ),
    sorry=(
        "I was not able to complete this for {record}: {why}.",
        "{record} could not be processed, since {why}.",
    ),
    problems=(
        ("RateLimited", "try again in {n} s"),
        ("ProfileLocked", "profile is being edited in session {n}"),
        ("UpstreamUnavailable", "talent index shard {n} is down"),
    ),
    versions=("r411", "r412"),
)

_LAB_FIELDS = {
    "priority": ("routine", "urgent", "stat"),
    "container": ("EDTA", "serum", "citrate"),
    "ward_route": ("north", "south", "tube-3"),
}
LABORATORY: Final = Application(
    name="laboratory ordering assistant",
    service="lab-order-agent",
    lead="order_desk",
    workers=("catalogue_guide", "specimen_clerk", "release_officer"),
    workflow="order_entry",
    models=("mistral-large-2", "mistral-medium-3"),
    provider="mistral_ai",
    duty="You place and follow laboratory orders of St. Brennan hospital.",
    tools={
        "open": _tool("fetchOrder", "A laboratory order.", 0.41, record=text("orderNumber")),
        "inspect": _tool(
            "fetchSpecimen", "One specimen of an order.", 0.62, part=text("specimenBarcode")
        ),
        "find": _tool(
            "lookupAssays",
            "Search the catalogue of assays.",
            0.55,
            query=text("term"),
            page=number("resultPage", optional=True),
        ),
        "check": _tool(
            "validateOrder",
            "Validate an order against a laboratory rule.",
            0.75,
            record=text("orderNumber"),
            rule=text("ruleSet", "volume", "interference", "consent"),
        ),
        "write": _tool(
            "amendOrder",
            "Amend one property of an order.",
            0.47,
            record=text("orderNumber"),
            field=text("property", *_LAB_FIELDS),
            value=text("amendedValue"),
            version=number("baseRevision", optional=True),
        ),
        "send": _tool(
            "notifyRequester",
            "Message through the outside paging company.",
            0.52,
            to=text("pager"),
            text=text("notice"),
            tone=text("level", "info", "critical", optional=True),
        ),
        "start": _tool(
            "scheduleRerun", "Have an order measured again.", 0.5, record=text("orderNumber")
        ),
        "poll": _tool("rerunState", "State of a rerun.", 0.18, job=text("rerunTicket")),
        "rare": _tool("voidOrder", "Void an order.", 0.3, record=text("orderNumber")),
    },
    missing_tools=("fetchPatient", "fetchSpecimenHistory"),
    record_id="LO{0}7",
    part_id="SB.{0}.1",
    job_id="RR-{0}",
    names={
        "record": "orderNumber",
        "state": "orderStatus",
        "version": "revision",
        "owner": "requester",
        "mail": "pager",
        "parts": "specimens",
        "part": "specimenBarcode",
        "amount": "volumeMicrolitre",
        "job": "rerunTicket",
        "hits": "assays",
    },
    style="envelope",
    states=("placed", "collected", "measured"),
    fields=_LAB_FIELDS,
    rules=("volume", "interference", "consent"),
    words=_words(
        "haemolysis aliquot centrifuge titre reagent analyser lipaemic ferritin coagulation culture "
        "swab reflex calibrator plasma troponin panel turnaround fasting control pipette delta-check"
    ),
    requests=(
        "Status of order {record}, please.",
        "Ward 4 asks about {record} - which specimen is missing?",
        "Can you review {record}?",
    ),
    changes=(
        "Amend {record}: {field} must be {value}. Validate and page the requester.",
        "{record} needs {field} {value}; inform whoever ordered it.",
    ),
    done=(
        "Order {record} amended, {field} is {value}. Requester paged.",
        "{field} of {record} is {value} as asked; the requester knows.",
    ),
    told=(
        "{record}: specimen {detail} is on the analyser, results by noon.",
        "All specimens of {record} arrived, the last was {detail}.",
    ),
    sorry=(
        "Order {record} was not amended: {why}. Please call the laboratory.",
        "I cannot complete {record}; {why}.",
    ),
    problems=(
        ("HL7GatewayDown", "gateway refused the segment with code {n}"),
        ("AnalyserBusy", "analyser queue holds {n} racks"),
        ("BarcodeMismatch", "label checksum {n} does not match"),
    ),
    versions=("5.2.0", "5.3.0"),
)

TUNING: Final = (CLAIMS, PIPELINE, RECRUITING)
REPORTING: Final = (LABORATORY,)
