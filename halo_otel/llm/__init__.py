"""A language model behind an endpoint that speaks OpenAI's chat completions. Knows nothing of windows.

    account = MemoryAccount(Periods(llm.budget.hour, llm.budget.day))  # or the registry's
    budget = Budget.of(llm, clock, account)                            # one for each window
    async with Model(llm, Sent(file, llm.sent_bytes), clock, counters, random.Random(), prices.of) as model:
        messages = (Message.system("…"), Message.user("Why? ", Payload(field="tool.result", text=text)))
        answer = await model.ask(Question(messages=messages, tools=TOOLS), budget)
        results = [Message.result(call, run(call)) for call in answer.calls]  # a BadCall says what is wrong
        messages = (*messages, answer.message, *results)                      # and so on

`client.Model` asks; `conversation` holds questions and answers; `budget.Budget` says what may be spent, and
`child(budget.left.share(0.2))` gives a question below a part of it; `privacy` decides what leaves and records
it; `Model.preview` tells what would be sent.

Promises: a request is paid before it leaves, with the most that it can cost (`tokens` bounds what no
tokenizer counts), and is recorded before it leaves; what the endpoint cannot do (tools, schema, streamed
usage, a parameter) is done without; what is down or busy is tried again, what cannot be is an error of
ours. Text from a trace leaves only as `llm.payloads` says, if it is wrapped in a Payload. What comes back is
a stranger's: types are checked, values are not. Randomness, clock and prices are injected. The package
`openai` is loaded by the first `Model` that is entered.
"""
