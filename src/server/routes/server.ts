/** Models, health, metrics, and the description of all routes. */
import { featuresOf } from '../../decode/engine-types.ts';
import type { ServedModel } from '../../decode/engine-types.ts';
import { route } from '../deps.ts';
import type { Ctx, Deps, Route } from '../deps.ts';
import { HttpError } from '../errors.ts';
import { docsPage } from '../docs-page.ts';
import { findModel } from '../jobs.ts';
import { openApi } from '../openapi.ts';

const modelOf = ({ id, layout, contextLength, chat, infill }: ServedModel, { startedAt, pricing }: Deps) => ({
  id,
  object: 'model',
  created: startedAt,
  owned_by: 'tintype',
  name: id,
  layout,
  context_length: contextLength,
  max_output_length: contextLength - 1,
  pricing: pricing(id),
  supported_features: featuresOf({ chat, infill }),
});

function health(c: Ctx, { engine }: Deps): Response {
  const models = engine.models().map(({ id }) => id);
  if (models.length > 0) return c.json({ status: 'ok', models });
  throw new HttpError(503, 'the models are loading', { code: 'loading' }, 1);
}

export const serverRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/models',
    aliases: ['/models'],
    tag: 'OpenAI',
    summary: 'What is loaded',
    answer: (c, _, deps) =>
      c.json({ object: 'list', data: deps.engine.models().map((model) => modelOf(model, deps)) }),
  }),
  route({
    method: 'get',
    path: '/v1/models/:id',
    aliases: ['/models/:id'],
    tag: 'OpenAI',
    summary: 'One model',
    answer: (c, _, deps) => c.json(modelOf(findModel(deps, c.req.param('id')), deps)),
  }),
  route({
    method: 'get',
    path: '/health',
    aliases: ['/v1/health'],
    tag: 'Server',
    summary: '200 when models are loaded, 503 before',
    answer: (c, _, deps) => health(c, deps),
  }),
  route({
    method: 'get',
    path: '/metrics',
    tag: 'Server',
    summary: 'Numbers for Prometheus',
    answer: async (c, _, { metrics: { registry } }) =>
      c.body(await registry.metrics(), 200, { 'content-type': registry.contentType }),
  }),
  route({
    method: 'get',
    path: '/openapi.json',
    tag: 'Server',
    summary: 'This description (OpenAPI 3.1)',
    answer: (c, _, { routes }) => c.json(openApi(routes)),
  }),
  route({
    method: 'get',
    path: '/docs',
    tag: 'Server',
    summary: 'The same, to read',
    answer: (c, _, { routes }) => c.html(docsPage(routes)),
  }),
];
