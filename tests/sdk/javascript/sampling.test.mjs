// The parameters that decide what is generated and when it ends.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { answer, ask } from './gateway.mjs';

const STORY = 'Tell me a story.';

// Settings under which the model has something to choose from at every token.
const CHOICE = { temperature: 1, max_tokens: 60, ignore_eos: true };

describe('limits', () => {
  for (const limit of ['max_tokens', 'max_completion_tokens']) {
    for (const tokens of [1, 5]) {
      test(`${limit} of ${tokens} is exact`, async () => {
        const completion = await ask(STORY, { [limit]: tokens });

        assert.equal(completion.choices[0].finish_reason, 'length');
        assert.equal(completion.usage.completion_tokens, tokens);
      });
    }
  }

  test('ignore_eos goes on to the limit', async () => {
    const completion = await ask('Hello', { max_tokens: 100, ignore_eos: true });

    assert.equal(completion.choices[0].finish_reason, 'length');
    assert.equal(completion.usage.completion_tokens, 100);
  });
});

describe('against one story', () => {
  let story;
  let word;
  let slice; // pays no heed to where words or tokens begin and end

  before(async () => {
    story = await answer(STORY, { max_tokens: 60 });
    const words = story.split(/\s+/);
    word = words[Math.floor(words.length / 3)];
    slice = story.slice(story.length / 2, story.length / 2 + 12);
  });

  const upTo = (stop) => story.slice(0, story.indexOf(stop));

  test('temperature 0 always says the same', async () => {
    assert.equal(await answer(STORY, { max_tokens: 60 }), story);
  });

  test('stop, as a string, ends the answer before it', async () => {
    const { choices } = await ask(STORY, { max_tokens: 60, stop: word });

    assert.equal(choices[0].message.content, upTo(word));
    assert.equal(choices[0].finish_reason, 'stop');
  });

  test('stop, in a list, ends the answer before it', async () => {
    const { choices } = await ask(STORY, { max_tokens: 60, stop: ['never said', slice] });

    assert.equal(choices[0].message.content, upTo(slice));
    assert.equal(choices[0].finish_reason, 'stop');
  });

  test('the earliest of several stop strings wins', async () => {
    const shortest = [upTo(word), upTo(slice)].sort((a, b) => a.length - b.length)[0];

    assert.equal(await answer(STORY, { max_tokens: 60, stop: [slice, word] }), shortest);
  });

  for (const onlyTheBest of [{ top_k: 1 }, { min_p: 1.0 }]) {
    const [name] = Object.keys(onlyTheBest);
    test(`${name} that keeps only the best token is greedy at any temperature`, async () => {
      const told = await answer(STORY, { temperature: 2, max_tokens: 60, ...onlyTheBest });

      assert.equal(told, story);
    });
  }
});

describe('seed', () => {
  const drawn = (seed) => answer('Say hello in Greek', { ...CHOICE, seed });

  test('a seed gives the same text again', async () => {
    assert.equal(await drawn(42), await drawn(42));
  });

  test('other seeds give other texts', async () => {
    const texts = new Set();
    for (const seed of [1, 2, 3, 4]) texts.add(await drawn(seed));

    assert.ok(texts.size > 1);
  });
});
