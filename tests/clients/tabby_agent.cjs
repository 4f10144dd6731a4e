/**
 * Asks a server for one completion through tabby-agent, which is CommonJS, keeps its files in the home folder and says
 * what it thinks on the console: so it is a process of its own. Prints what came as the last line.
 */
const { TabbyAgent } = require('tabby-agent');

const [endpoint, text, position] = process.argv.slice(2);

async function ask() {
  const agent = new TabbyAgent();
  await agent.initialize({ config: { server: { endpoint } }, clientProperties: { user: {}, session: {} } });
  const status = agent.getStatus();
  const reply = await agent.provideCompletions({
    filepath: 'add.ts',
    language: 'typescript',
    text,
    position: Number(position),
    manually: true,
  });
  await agent.postEvent({ type: 'select', completion_id: reply.id, choice_index: 0 });
  await agent.finalize();
  console.log(JSON.stringify({ status, reply }));
  // Its log rotates on a timer that would keep the process.
  process.exit();
}

void ask();
