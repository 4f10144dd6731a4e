/** What the AI SDK asks, as bodies of the server. */
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3Message,
  LanguageModelV3ToolResultOutput,
  SharedV3Warning,
} from '@ai-sdk/provider';

export type Kind = 'chat' | 'completion';

type Message = LanguageModelV3Message;

export function bodyOf(kind: Kind, model: string, call: LanguageModelV3CallOptions, stream: boolean): object {
  const { suffix, frames, ...tintype } = call.providerOptions?.['tintype'] ?? {};
  const { responseFormat, tools = [], toolChoice } = call;
  const functions = tools.flatMap((tool) =>
    tool.type === 'function'
      ? [
          {
            type: 'function',
            function: { name: tool.name, description: tool.description, parameters: tool.inputSchema },
          },
        ]
      : [],
  );
  const shared = {
    model,
    max_tokens: call.maxOutputTokens,
    temperature: call.temperature,
    top_p: call.topP,
    top_k: call.topK,
    seed: call.seed,
    stop: call.stopSequences,
    response_format:
      responseFormat?.type !== 'json'
        ? undefined
        : responseFormat.schema
          ? {
              type: 'json_schema',
              json_schema: { name: responseFormat.name ?? 'answer', schema: responseFormat.schema },
            }
          : { type: 'json_object' },
    tintype,
    ...(stream
      ? {
          stream: true,
          stream_options: { include_usage: true },
          diffusing: frames === false ? undefined : 'frames',
        }
      : {}),
  };
  if (kind === 'completion') return { ...shared, prompt: textOf(call.prompt), suffix };
  return {
    ...shared,
    messages: call.prompt.flatMap(messagesOf),
    ...(functions.length > 0
      ? {
          tools: functions,
          tool_choice:
            toolChoice?.type === 'tool'
              ? { type: 'function', function: { name: toolChoice.toolName } }
              : toolChoice?.type,
        }
      : {}),
  };
}

/** What the request says and the server does not do. */
export function warningsOf(call: LanguageModelV3CallOptions): SharedV3Warning[] {
  const warnings: SharedV3Warning[] = [];
  for (const feature of ['presencePenalty', 'frequencyPenalty'] as const)
    if (call[feature] !== undefined) warnings.push({ type: 'unsupported', feature });
  for (const tool of call.tools ?? [])
    if (tool.type !== 'function') warnings.push({ type: 'unsupported', feature: `tool ${tool.name}` });
  return warnings;
}

/** The text of a prompt, for models that go on with it. */
const textOf = (prompt: readonly Message[]): string =>
  prompt.map((message) => (message.role === 'system' ? message.content : partsText(message))).join('\n');

const partsText = ({ content }: Exclude<Message, { role: 'system' }>): string =>
  content.map((part) => (part.type === 'text' ? part.text : '')).join('');

function messagesOf(message: Message): object[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }];
    case 'user':
      return [{ role: 'user', content: partsText(message) }];
    case 'assistant': {
      const calls = message.content.flatMap((part) =>
        part.type === 'tool-call'
          ? [
              {
                id: part.toolCallId,
                type: 'function',
                function: { name: part.toolName, arguments: JSON.stringify(part.input) },
              },
            ]
          : [],
      );
      return [
        { role: 'assistant', content: partsText(message), tool_calls: calls.length > 0 ? calls : undefined },
      ];
    }
    case 'tool':
      return message.content.flatMap((part) =>
        part.type === 'tool-result'
          ? [{ role: 'tool', tool_call_id: part.toolCallId, content: resultText(part.output) }]
          : [],
      );
  }
}

function resultText(output: LanguageModelV3ToolResultOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value;
    case 'execution-denied':
      return output.reason ?? 'denied';
    default:
      return JSON.stringify(output.value);
  }
}
