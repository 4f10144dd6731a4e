/** What each policy would have committed at this step, from the same statistics and by the same code as the decoder. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { createOpinion } from '../../../src/decode/opinions.ts';
import type { Opinion } from '../../../src/decode/opinions.ts';
import { namedPolicy, POLICIES } from '../../../src/decode/policies/index.ts';
import type { PolicyName, PolicyValues } from '../../../src/decode/policies/index.ts';
import { createBreath } from '../../runs/breathe.ts';
import type { Vocabulary } from '../../runs/recording.ts';
import type { RunRequest } from '../../runs/run.ts';
import type { History } from './history.ts';
import { plural, tokenWord } from './words.ts';

export const POLICY_NAMES = Object.keys(POLICIES) as PolicyName[];

/** The policy that a request asks for; `own` where it is a published sampler's. */
export function policyOf({ options = {} }: RunRequest): PolicyName | 'own' {
  if (options.sampler !== undefined) return 'own';
  return typeof options.policy === 'string' ? options.policy : 'confidenceThreshold';
}

interface Panel {
  /** Opinions of every policy, forward by forward, as far as asked for. */
  said: Partial<Record<PolicyName, Opinion>>[];
  /** Goes on to this forward; gives way to the screen. */
  advance(to: number, isWanted: () => boolean): Promise<boolean>;
}

function createPanel(history: History, request: RunRequest): Panel {
  const { options = {}, seed = 0, candidates = 0 } = request;
  const blockLength = history.moments.find(({ look }) => look !== null)?.look?.blockLength ?? 1;
  const own = policyOf(request);
  const policies = POLICY_NAMES.map((name) => ({
    name,
    policy: namedPolicy(name, name === own ? (options as Partial<PolicyValues>) : {}, blockLength),
  }));
  const reviewed = Boolean(policies.find(({ name }) => name === own)?.policy.needs.committed);
  const panel = policies.map(({ name, policy }) => ({
    name,
    ask: createOpinion(policy, { seed, candidates, reviewed }),
  }));
  const said: Panel['said'] = [];
  return {
    said,
    async advance(to, isWanted) {
      const breathe = createBreath();
      while (said.length <= to) {
        const at = said.length;
        const { look } = history.moments[at];
        const seen = look && { look, committed: history.committedBefore(at) };
        said.push(seen ? Object.fromEntries(panel.map(({ name, ask }) => [name, ask(seen)])) : {});
        await breathe();
        if (!isWanted()) return false;
      }
      return true;
    },
  };
}

export interface OpinionsProps {
  history: History;
  vocabulary: Vocabulary;
  request: RunRequest;
  at: number;
  index: number;
  /** Whether all of this forward is known; the newest of a run that goes on may not be told to its end. */
  isWhole: boolean;
  onPick: (index: number) => void;
}

export function Opinions({ history, vocabulary, request, at, index, isWhole, onPick }: OpinionsProps) {
  const panel = useMemo(() => (isWhole ? createPanel(history, request) : null), [history, request, isWhole]);
  const [ready, setReady] = useState(-1);
  useEffect(() => {
    if (!panel) return undefined;
    let isHere = true;
    void panel.advance(at, () => isHere).then((done) => isHere && done && setReady(at));
    return () => {
      isHere = false;
    };
  }, [panel, at]);

  const moment = history.moments[at];
  const said = panel?.said[at];
  const own = policyOf(request);
  const actual = moment.commits.map(({ position, id }) => ({ position, id }));
  const isActual = (position: number, id: number): boolean =>
    actual.some((token) => token.position === position && token.id === id);

  return (
    <section class="stack" aria-labelledby="opinions-title">
      <div>
        <h2 id="opinions-title">What each policy would have committed</h2>
        <p class="soft">
          From what forward {at} said, by the decoder’s own code; the run’s policy has its own settings, the
          others have their defaults. Outlined tokens are not what this run committed.
        </p>
      </div>
      <div class="opinions-box" tabIndex={0} role="region" aria-label="Policies, scrolls sideways">
        <table class="table opinions" aria-busy={isWhole && ready < at}>
          <thead>
            <tr>
              <th scope="col">Policy</th>
              <th scope="col" class="number">
                Tokens
              </th>
              <th scope="col">Position and token</th>
            </tr>
          </thead>
          <tbody>
            <tr data-actual="">
              <th scope="row">
                This run <small>{own === 'own' ? `sampler ${request.options?.sampler}` : own}</small>
              </th>
              <td class="number">{actual.length}</td>
              <td>
                <Tokens
                  tokens={actual}
                  remasked={moment.remasked}
                  {...{ history, vocabulary, index, onPick }}
                />
              </td>
            </tr>
            {POLICY_NAMES.map((name) => (
              <tr key={name} data-own={name === own ? '' : undefined}>
                <th scope="row" title={POLICIES[name].doc}>
                  {name} {name === own && <small>this run’s</small>}
                </th>
                <Said
                  opinion={said?.[name]}
                  isUnasked={said !== undefined}
                  {...{ history, vocabulary, index, onPick, isActual }}
                />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface ShownProps {
  history: History;
  vocabulary: Vocabulary;
  index: number;
  onPick: (index: number) => void;
}

function Said({
  opinion,
  isUnasked,
  isActual,
  ...shown
}: ShownProps & {
  opinion: Opinion | undefined;
  isUnasked: boolean;
  isActual: (position: number, id: number) => boolean;
}) {
  if (!opinion || opinion.missing !== undefined) {
    return (
      <>
        <td class="number">–</td>
        <td class="soft">{opinion?.missing ?? (isUnasked ? 'was not asked by this forward' : '…')}</td>
      </>
    );
  }
  const { commit, remask } = opinion.choice;
  const tokens = commit.map(({ position, id }) => ({ position, id })).sort((a, b) => a.position - b.position);
  return (
    <>
      <td class="number">{tokens.length}</td>
      <td>
        <Tokens tokens={tokens} remasked={remask} isActual={isActual} {...shown} />
      </td>
    </>
  );
}

function Tokens({
  tokens,
  remasked,
  isActual = () => true,
  history,
  vocabulary,
  index,
  onPick,
}: ShownProps & {
  tokens: readonly { position: number; id: number }[];
  remasked: readonly number[];
  isActual?: (position: number, id: number) => boolean;
}) {
  if (tokens.length + remasked.length === 0) return <span class="soft">nothing</span>;
  return (
    <ul class="chips">
      {tokens.map(({ position, id }) => {
        const own = position - history.answerStart;
        return (
          <li key={position}>
            <button
              type="button"
              class="chip"
              data-other={isActual(position, id) ? undefined : ''}
              aria-pressed={own === index}
              onClick={() => onPick(own)}
            >
              <small>{own}</small> <code>{tokenWord(vocabulary, id)}</code>
            </button>
          </li>
        );
      })}
      {remasked.length > 0 && (
        <li class="soft">
          {plural(remasked.length, 'token')} masked again:{' '}
          {remasked.map((position) => position - history.answerStart).join(', ')}
        </li>
      )}
    </ul>
  );
}
