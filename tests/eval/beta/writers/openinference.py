"""OpenInference as its LangGraph and CrewAI instrumentations write it."""

import json
from typing import Any, Final

from tests.eval.beta.run import Message, Step
from tests.eval.beta.writers.written import Show, Written, output_message

_LANGCHAIN: Final = ("openinference.instrumentation.langchain", "0.1.63")
_CREWAI: Final = ("openinference.instrumentation.crewai", "1.2.0")
_KINDS: Final = {"run": "CHAIN", "agent": "AGENT", "model": "LLM", "tool": "TOOL", "parse": "CHAIN"}
_PROVIDERS: Final = {"claude": "anthropic", "mistral": "mistralai"}


def write(show: Show, step: Step) -> Written:
    """`step` under `openinference.span.kind`; a crew's tasks are named after the method they run in."""
    crew = show.cast.application.startswith("compliance")
    attributes: dict[str, Any] = {
        "openinference.span.kind": _KINDS[step.kind],
        "session.id": show.run.setting.session,
        "user.id": show.run.setting.user,
    }
    name = step.name
    if step.kind == "model":
        name = f"{_provider(step.name).title()}.completion" if crew else "ChatModel"
        attributes |= _model(show, step)
    elif step.kind == "tool":
        name = f"{step.name}.run" if crew else step.name
        attributes |= _tool(show, step, serialised=show.style.newer and not crew)
    elif step.kind == "agent":
        name = f"{step.name}._execute_core" if crew else step.name
        attributes |= _agent(show, step, crew)
    elif step.kind == "run":
        name = "Crew.kickoff" if crew else "LangGraph"
        attributes |= _text("input", show.run.task, step) | _text("output", step.says, step)
    if show.style.evaluates and not step.parent:
        attributes |= _evaluation(show)
    return Written(name=name, scope=_CREWAI if crew else _LANGCHAIN, attributes=attributes)


def _provider(model: str) -> str:
    return _PROVIDERS.get(model.partition("-")[0], "openai")


def _text(side: str, said: str, step: Step) -> dict[str, Any]:
    if step.bare or not said:
        return {}
    return {f"{side}.value": said, f"{side}.mime_type": "text/plain"}


def _agent(show: Show, step: Step, crew: bool) -> dict[str, Any]:
    metadata = {"thread_id": show.run.setting.session, "langgraph_node": step.name}
    task = step.given[-1].text if step.given else ""
    return {
        "graph.node.id": step.name,
        **({} if crew else {"metadata": json.dumps(metadata)}),
        **_text("input", task, step),
        **_text("output", step.says, step),
    }


def _model(show: Show, step: Step) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "llm.model_name": step.name,
        "llm.provider": _provider(step.name),
        "llm.system": _provider(step.name),
        "llm.invocation_parameters": json.dumps({"model": step.name, "temperature": 0.2}),
        "llm.finish_reason": step.finish,
    }
    if step.error is None:
        attributes |= {
            "llm.token_count.prompt": step.input_tokens,
            "llm.token_count.completion": step.output_tokens,
            "llm.token_count.total": step.input_tokens + step.output_tokens,
        }
        if step.reasoning_tokens:
            key = "llm.token_count.completion_details.reasoning"
            attributes[key] = step.reasoning_tokens
    if not step.bare:
        heard = (Message("system", show.told(step)), *step.given)
        for number, message in enumerate(heard):
            _flatten(attributes, f"llm.input_messages.{number}.message", message)
        if step.error is None:
            _flatten(attributes, "llm.output_messages.0.message", output_message(step))
    for number, tool in enumerate(show.tools(step)):
        function = {"name": tool.name, "description": tool.says, "parameters": tool.schema}
        schema = json.dumps({"type": "function", "function": function})
        attributes[f"llm.tools.{number}.tool.json_schema"] = schema
    return attributes


def _flatten(attributes: dict[str, Any], place: str, message: Message) -> None:
    attributes[f"{place}.role"] = message.role
    if message.text:
        attributes[f"{place}.content"] = message.text
    if message.answers:
        attributes[f"{place}.tool_call_id"] = message.answers.id
        attributes[f"{place}.name"] = message.answers.tool
    for number, call in enumerate(message.calls):
        inner = f"{place}.tool_calls.{number}.tool_call"
        attributes[f"{inner}.id"] = call.id
        attributes[f"{inner}.function.name"] = call.tool
        attributes[f"{inner}.function.arguments"] = call.text


def _tool(show: Show, step: Step, serialised: bool) -> dict[str, Any]:
    tool = show.cast.tool(step.name)
    attributes: dict[str, Any] = {"tool.name": step.name}
    if tool:
        attributes["tool.description"] = tool.says
    if step.bare or step.call is None:
        return attributes
    attributes |= {"input.value": step.call.text, "input.mime_type": "application/json"}
    if step.error and not step.in_words:
        return attributes
    result = step.result
    if serialised:
        data = {
            "content": result,
            "type": "tool",
            "name": step.name,
            "tool_call_id": step.call.id,
            "status": "error" if step.error else "success",
        }
        result = json.dumps({"type": "tool", "data": data})
    return {**attributes, "output.value": result}


def _evaluation(show: Show) -> dict[str, Any]:
    good = not show.run.failed
    return {
        "evaluations.0.evaluation.name": "task_completed",
        "evaluations.0.evaluation.score": 1.0 if good else 0.0,
        "evaluations.0.evaluation.label": "pass" if good else "fail",
        "evaluations.0.evaluation.annotator_kind": "LLM",
    }
