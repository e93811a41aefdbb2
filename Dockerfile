# syntax=docker/dockerfile:1
FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci
COPY build.mjs tsconfig.json ./
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
ENV NODE_ENV=production HOME=/tmp
WORKDIR /app
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE CHANGELOG.md ./
COPY config config
# appliances.yaml is looked for here, unless the environment describes an appliance; relative files are found here.
WORKDIR /config
# Numeric, so that runAsNonRoot can be checked. Nothing is written anywhere: run it with a read-only root file system.
USER 65532:65532
# It listens on the loopback of its network namespace, as a sidecar wants it; HOST changes that.
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["node", "/app/dist/main.js", "status", "--live"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]
