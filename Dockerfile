# parley as one static binary on an empty image: certificates and time zones are in it, a shell is not.
#
#     docker build -t parley .
#     docker run --rm -v parley:/data -p 127.0.0.1:8080:8080 -e PARLEY_ADMIN_KEY -e PARLEY_TOKEN_KEY parley
#
# The admin listener stays on the container's loopback unless PARLEY_ADMIN says otherwise: metrics and profiles ask for no key.
ARG GO=1.26.7

FROM golang:${GO} AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -tags timetzdata -ldflags "-s -w" -o /out/parley ./cmd/parley
RUN mkdir -m 0700 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/parley /parley
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV PARLEY_DATA=/data PARLEY_LISTEN=0.0.0.0:8080 PARLEY_LOG_FORMAT=json
VOLUME ["/data"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/parley", "health"]
ENTRYPOINT ["/parley"]
CMD ["serve"]
