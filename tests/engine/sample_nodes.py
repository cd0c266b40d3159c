"""Small node classes that the engine's tests build graphs of."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import field

from workflows.engine.context import NodeContext, NodeInputs, NodeOutputs
from workflows.engine.control_events import RunEvent
from workflows.engine.errors import TargetFailed
from workflows.engine.node import InputNode, Meta, Node, OutputNode, PreviewNode
from workflows.engine.registry import NodeRegistry
from workflows.engine.values import ImageRef, empty_asset, text_chunk

registry = NodeRegistry()


@registry.register("test.K")
class K(Node):
    """A constant."""

    outputs = {"output": "any"}

    value: Any = None

    async def process(self, context: NodeContext) -> Any:
        return {"output": self.value}


@registry.register("test.Text")
class Text(Node):
    """A constant of a declared type."""

    outputs = {"output": "str"}

    value: str = ""

    async def process(self, context: NodeContext) -> str:
        return self.value


@registry.register("test.E")
class E(Node):
    """A stream of values."""

    sends_null = True

    values: list[Any] = []

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for value in self.values:
            yield {"output": value}


@registry.register("test.Count")
class Count(Node):
    """The numbers below ``stop``."""

    outputs = {"output": "int"}
    made: ClassVar[int] = 0

    stop: int = 0

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        Count.made = 0
        for number in range(self.stop):
            Count.made += 1
            yield {"output": number}


@registry.register("test.ForEach")
class ForEach(Node):
    """The items of a list, with their indexes."""

    outputs = {"output": "any", "index": "int"}
    sends_null = True

    input_list: list[Any] = []

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for index, item in enumerate(self.input_list):
            yield {"output": item, "index": index}


@registry.register("test.P")
class P(Node):
    """``a-b``."""

    outputs = {"output": "str"}

    a: Any = ""
    b: Any = ""

    async def process(self, context: NodeContext) -> str:
        return f"{self.a}-{self.b}"


@registry.register("test.Triple")
class Triple(Node):
    """``a-b-c``."""

    outputs = {"output": "str"}

    a: Any = ""
    b: Any = ""
    c: Any = ""

    async def process(self, context: NodeContext) -> str:
        return f"{self.a}-{self.b}-{self.c}"


@registry.register("test.FormatText")
class FormatText(Node):
    """Text in capitals."""

    outputs = {"output": "str"}

    text: str = ""

    async def process(self, context: NodeContext) -> str:
        return self.text.upper()


@registry.register("test.Slow")
class Slow(Node):
    """Passes a value on after another round of the loop."""

    value: Any = None

    async def process(self, context: NodeContext) -> Any:
        await asyncio.sleep(0)
        return {"output": self.value}


@registry.register("test.Filter")
class Filter(Node):
    """Passes on the texts that contain another one."""

    outputs = {"output": "str"}
    streaming_input = True
    streaming_output = True

    value: str = ""
    criteria: str = ""

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        criteria = self.criteria
        async for handle, value in inputs.any():
            if handle == "criteria":
                criteria = value
            elif criteria in value:
                await outputs.emit("output", value)


@registry.register("test.If")
class If(Node):
    """Passes a value on to one of two outputs."""

    outputs = {"if_true": "any", "if_false": "any"}
    streaming_input = True
    streaming_output = True
    leading_input = "value"

    condition: bool = False
    value: Any = None

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        async for arrived in inputs.sets():
            condition = arrived.get("condition", self.condition)
            branch = "if_true" if condition else "if_false"
            await outputs.emit(branch, arrived.get("value", self.value))


@registry.register("test.Collect")
class Collect(Node):
    """The whole stream as a list."""

    outputs = {"output": "list[any]"}
    streaming_input = True

    input_item: Any = None

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        items = [item async for item in inputs.each("input_item")]
        await outputs.emit("output", items)


@registry.register("test.YBeforeX")
class YBeforeX(Node):
    """Reads all of ``y`` before it looks at ``x``."""

    streaming_input = True

    x: Any = None
    y: Any = None

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        ys = [y async for y in inputs.each("y")]
        xs = [x async for x in inputs.each("x")]
        await outputs.emit("output", {"xs": xs, "ys": ys})


@registry.register("test.BothAtOnce")
class BothAtOnce(Node):
    """Reads two inputs, and sends, from two tasks."""

    streaming_input = True
    streaming_output = True

    x: Any = None
    y: Any = None

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        async def read(handle: str) -> None:
            async for value in inputs.each(handle):
                await outputs.emit("output", f"{handle}{value}")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read("x"))
            tasks.create_task(read("y"))


@registry.register("test.Double")
class Double(Node):
    """Sends every item twice."""

    streaming_input = True
    streaming_output = True

    value: Any = None

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        async for value in inputs.each("value"):
            await outputs.emit("output", value)
            await outputs.emit("output", value)


@registry.register("test.Gather")
class Gather(Node):
    """A list, and a text beside it."""

    outputs = {"output": "any"}

    items: list[Any] = field(default_factory=lambda: ["default"])
    label: str = ""

    async def process(self, context: NodeContext) -> Any:
        return {"output": {"items": self.items, "label": self.label}}


@registry.register("test.Numbers")
class Numbers(Node):
    """A list of whole numbers."""

    outputs = {"output": "list[int]"}

    items: list[int] = []

    async def process(self, context: NodeContext) -> Any:
        return self.items


@registry.register("test.Length")
class Length(Node):
    """How long a list is."""

    outputs = {"output": "int"}

    values: list[Any] = field(default_factory=lambda: [0, 0, 0, 0])

    async def process(self, context: NodeContext) -> int:
        return len(self.values)


@registry.register("test.Append")
class Append(Node):
    """A list with one more item."""

    outputs = {"output": "list[any]"}

    values: list[Any] = []
    value: Any = None

    async def process(self, context: NodeContext) -> list[Any]:
        return [*self.values, self.value]


@registry.register("test.Secs")
class Secs(Node):
    """A number of either kind, and a choice."""

    outputs = {"output": "any"}

    secs: Annotated[float, Meta(min=0, max=60)] = 0.5
    count: int = 0
    choice: Literal["low", "high"] = "low"
    maybe: int | None = 7

    async def process(self, context: NodeContext) -> Any:
        return {"output": [self.secs, self.count, self.choice, self.maybe]}


@registry.register("test.Picture")
class Picture(Node):
    """Needs a picture."""

    outputs = {"output": "image"}
    required_inputs = ("image",)

    image: ImageRef = field(default_factory=lambda: empty_asset("image"))

    async def process(self, context: NodeContext) -> Any:
        return self.image


@registry.register("test.Dynamic")
class Dynamic(Node):
    """Gives back what the user added to it."""

    outputs = {"output": "dict"}
    dynamic = True
    dynamic_outputs = True

    prefix: str = ""

    async def process(self, context: NodeContext) -> Any:
        return {"output": dict(self.dynamic_properties), **self._extra()}

    def _extra(self) -> dict[str, Any]:
        return {"extra": self.prefix} if self.prefix else {}


@registry.register("test.Returns")
class Returns(Node):
    """Returns a value as it is; has two outputs."""

    outputs = {"x": "any", "y": "any"}

    result: Any = None

    async def process(self, context: NodeContext) -> Any:
        return self.result


@registry.register("test.Yields")
class Yields(Node):
    """Yields values as they are; nulls are not sent."""

    outputs = {"x": "any", "y": "any"}

    results: list[Any] = []

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for result in self.results:
            yield result


@registry.register("test.Fail")
class Fail(Node):
    """Fails, on one value or on all."""

    value: Any = None
    on: Any = None
    message: str = "boom"

    async def process(self, context: NodeContext) -> Any:
        if self.on is None or self.value == self.on:
            raise RuntimeError(self.message)
        return {"output": self.value}


@registry.register("test.FailLater")
class FailLater(Node):
    """Sends an item, then fails."""

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        yield {"output": "sent"}
        raise RuntimeError("late boom")


@registry.register("test.Exit")
class Exit(Node):
    """Ends the interpreter, or wants to."""

    how: str = "exit"

    async def process(self, context: NodeContext) -> Any:
        if self.how == "exit":
            raise SystemExit(3)
        raise asyncio.CancelledError


@registry.register("test.Meet")
class Meet(Node):
    """Ends when two of its kind run at the same time."""

    barrier: ClassVar[asyncio.Barrier]

    value: Any = None

    async def process(self, context: NodeContext) -> Any:
        await Meet.barrier.wait()
        return {"output": "met"}


@registry.register("test.Wait")
class Wait(Node):
    """Waits until the test lets it go on; says how it ended."""

    started: ClassVar[asyncio.Event]
    go: ClassVar[asyncio.Event]
    ends: ClassVar[list[str]]

    value: Any = None
    clean_up: bool = False

    async def process(self, context: NodeContext) -> Any:
        Wait.started.set()
        try:
            await Wait.go.wait()
        except asyncio.CancelledError:
            if self.clean_up:
                await asyncio.sleep(0)
            Wait.ends.append("cancelled")
            raise
        Wait.ends.append("done")
        return {"output": self.value}

    @classmethod
    def prepare(cls) -> None:
        cls.started, cls.go, cls.ends = asyncio.Event(), asyncio.Event(), []


@registry.register("test.Ticks")
class Ticks(Node):
    """Numbers, with a number of rounds of the loop before each."""

    made: ClassVar[int] = 0

    rounds: int = 1

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for Ticks.made in range(30):
            for _ in range(self.rounds):
                await asyncio.sleep(0)
            yield {"output": Ticks.made}


@registry.register("test.WaitThenCount")
class WaitThenCount(Node):
    """An item, then others as soon as the test lets it go on."""

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        yield {"output": 0}
        await Wait.go.wait()
        for number in range(1, 10):
            yield {"output": number}


@registry.register("test.Stubborn")
class Stubborn(Node):
    """Does not let itself be cancelled, and goes on talking."""

    go: ClassVar[asyncio.Event]

    async def process(self, context: NodeContext) -> Any:
        while not Stubborn.go.is_set():
            try:
                await Stubborn.go.wait()
            except asyncio.CancelledError:
                await context.log("still here")
        await context.log("too late")
        return {"output": "too late"}


@registry.register("test.StubbornStream")
class StubbornStream(Node):
    """Yields for ever, whatever happens to it; nothing of it is ever sent."""

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        while True:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await context.log("still here")
            yield {}


@registry.register("test.Timed")
class Timed(Node):
    """Puts a time limit on its first wait."""

    seconds: float = 0.01

    async def process(self, context: NodeContext) -> Any:
        try:
            async with asyncio.timeout(self.seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            return {"output": "timed out"}


@registry.register("test.Talk")
class Talk(Node):
    """Says all that a node can say."""

    async def process(self, context: NodeContext) -> Any:
        for done in (1, 3, 2):
            await context.progress(done, 3)
        await context.chunk("piece")
        await context.log("line", severity="warning")
        await context.notify("look")
        await context.saved("file", empty_asset("image"))
        return {"output": context.node_name}


@registry.register("test.Pieces")
class Pieces(Node):
    """A text in pieces, and then as a whole."""

    outputs = {"chunk": "chunk", "text": "str"}

    pieces: list[str] = []

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for piece in self.pieces:
            yield {"chunk": text_chunk(piece)}
        yield {"text": "".join(self.pieces)}


@registry.register("test.Blocking")
class Blocking(Node):
    """Calls a function that blocks."""

    seconds: float = 0.0

    async def process(self, context: NodeContext) -> Any:
        from tests.engine.blocking_functions import busy

        return {"output": await context.run_blocking(busy, self.seconds)}


@registry.register("test.Held")
class Held(Node):
    """Calls a function that blocks until there is a file."""

    here: str = ""
    go: str = ""

    async def process(self, context: NodeContext) -> Any:
        from tests.engine.blocking_functions import be_held

        await context.run_blocking(be_held, self.here, self.go)


@registry.register("test.Quiet")
class Quiet(Node):
    """Its result is known to the client already."""

    reports_result = False

    value: Any = None

    async def process(self, context: NodeContext) -> Any:
        return {"output": self.value}


@registry.register("test.Steer")
class Steer(Node):
    """Yields the items, with control events among them; a number is a wait."""

    outputs = {"output": "any"}
    controls = True

    items: list[Any] = []
    value: Any = None
    fails: bool = False

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for item in self.items:
            if isinstance(item, int):
                for _ in range(item):
                    await asyncio.sleep(0)
            else:
                yield item
        if self.fails:
            raise RuntimeError("controller boom")


@registry.register("test.SteerOnce")
class SteerOnce(Node):
    """Returns a result, with control events in it."""

    outputs = {"output": "any"}
    controls = True

    value: Any = None
    result: Any = None

    async def process(self, context: NodeContext) -> Any:
        if self.result is not None:
            return self.result
        event = {"event_type": "run", "properties": {"b": self.value}}
        return {"__control__": event, "output": self.value}


@registry.register("test.OldSteer")
class OldSteer(Node):
    """Controls as older nodes do."""

    outputs = {"__control_output__": "dict[str, any]", "result": "str"}

    properties: Any = {}

    async def process(self, context: NodeContext) -> Any:
        return {"__control_output__": self.properties, "result": "done"}


@registry.register("test.SteerStream")
class SteerStream(Node):
    """Sends an event for each item that comes, and then the item.

    ``last`` is a node that it runs in the end.
    """

    streaming_input = True
    controls = True

    value: Any = None
    last: str = ""

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        async for value in inputs.each("value"):
            await outputs.emit("__control__", RunEvent({"b": value}))
            await outputs.emit("output", value)
        if self.last:
            await context.control.run(self.last, {"b": "last"})


@registry.register("test.Ask")
class Ask(Node):
    """Runs the nodes that it controls, one after the other, and gives their answers.

    ``asks`` are ids of nodes, each with properties. ``at_once``: not one by one.
    """

    outputs = {"output": "any"}
    controls = True

    asks: list[Any] = []
    value: Any = None
    at_once: bool = False
    keeps_on: bool = False

    async def process(self, context: NodeContext) -> Any:
        if self.at_once:
            runs = [self._ask(context, *ask) for ask in self.asks]
            return {"output": await asyncio.gather(*runs)}
        return {"output": [await self._ask(context, *ask) for ask in self.asks]}

    async def _ask(
        self, context: NodeContext, target: str, properties: dict[str, Any]
    ) -> Any:
        if self.value is not None:
            properties = {**properties, "b": self.value}
        try:
            return await context.control.run(target, properties)
        except TargetFailed as error:
            if not self.keeps_on:
                raise
            return str(error)


@registry.register("test.Look")
class Look(Node):
    """What it sees of the nodes that it controls, which it does not run."""

    outputs = {"output": "any"}
    controls = True

    value: Any = None

    async def process(self, context: NodeContext) -> Any:
        targets = await context.control.targets()
        return {"output": [[each.id, each.title, each.values] for each in targets]}


@registry.register("test.Group")
class Group(Node):
    """A frame in the picture of the graph."""

    inert = True


@registry.register("test.StringInput")
class StringInput(InputNode):
    outputs = {"output": "str"}

    value: str = ""
    max_length: int = 0

    def check(self, value: Any) -> Any:
        return value[: self.max_length] if self.max_length else value


@registry.register("test.IntegerInput")
class IntegerInput(InputNode):
    outputs = {"output": "int"}

    value: int = 0
    max: int = 100

    def check(self, value: Any) -> Any:
        if value > self.max:
            raise ValueError(f"{value} is more than {self.max}")
        return value


@registry.register("test.BoundedInput")
class BoundedInput(InputNode):
    """A number that its type bounds."""

    outputs = {"output": "int"}

    value: Annotated[int, Meta(min=1, max=9)] = 5


@registry.register("test.FileInput")
class FileInput(InputNode):
    """Two outputs of one value."""

    outputs = {"document": "document", "path": "str"}

    value: str = ""

    def values(self, value: Any) -> dict[str, Any]:
        document = {**empty_asset("document"), "uri": f"https://files/{value}"}
        return {"document": document, "path": value}


@registry.register("test.StreamInput")
class StreamInput(InputNode):
    """An input that stays open."""

    outputs = {"chunk": "any", "other": "any"}
    streaming_output = True

    value: Any = None


@registry.register("test.Output")
class Output(OutputNode):
    outputs = {"output": "any"}


@registry.register("test.Preview")
class Preview(PreviewNode):
    outputs = {"output": "any"}
