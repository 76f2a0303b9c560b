import type { DemoLine } from "./demo.ts";

/** Who is in on it, and in which of the regions, counted from the one that leads. */
const PEOPLE: readonly (readonly [nick: string, region: number])[] = [
  ["ada", 0],
  ["lin", 1],
  ["mei", 2],
  ["ben", 0],
];

const TALK = `Good morning, everybody in?
Morning from the rainy side.
Good evening from here.
Coffee is ready, so yes.
First point: the harbour festival.
The stage is booked for Saturday.
And the boats?
Two of three have answered.
I called the third one yesterday.
And what did they say?
They want to know the depth at the pier.
Four metres at low tide.
That is enough for them.
Then we have three boats.
Second point: the lights.
We need forty lamps along the water.
I have thirty in the shed.
I can bring twelve by train.
That makes forty-two, well done.
Who hangs them up?
My brother has a ladder.
I have two hands and no fear.
Then it is you two on Friday.
Third point: the soup.
Last year it was gone by eight.
Then we cook twice as much.
In which pot?
The school lends us theirs.
I ask the school today.
Ask about the ladles too.
Ladles, noted.
Fourth point: what if it rains?
Then the soup is the better part.
The hall is ours until midnight.
The hall holds three hundred.
Then three hundred must be enough.
~And if the power fails
~someone has to have the candles
~and everybody has to know
~where they are kept
Are you still there?
I am, but it was quiet for a moment.
I thought I had lost you.
Every word is here, I counted.
Say again who has the candles?
It is above, read up.
Right, found it, thank you.
Then the candles are with you.
Last point: who writes it all down?
It is all written down, that is the point.
True, and in one order.
In the same one here.
And here.
Then we are done.
See you on Saturday!
Bring an umbrella.`.split("\n");

const CUT_OFF = "~";

/** How many lines are said before the leading region is lost, and how many of the next ones when it is. */
export const CALM_LINES = TALK.findIndex((line) => line.startsWith(CUT_OFF));
export const CUT_OFF_LINES = TALK.filter((line) => line.startsWith(CUT_OFF)).length;

/** The conversation, between people in the regions that are named; the first one leads. */
export function demoLines(regions: readonly string[]): readonly DemoLine[] {
  return TALK.map((line, at) => {
    // The sentence that is cut off is one person's.
    const [nick, region] = PEOPLE[line.startsWith(CUT_OFF) ? 0 : at % PEOPLE.length] as (typeof PEOPLE)[number];
    return { nick, region: regions[region % regions.length] as string, text: line.replace(CUT_OFF, "") };
  });
}
