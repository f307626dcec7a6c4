# Built by airgap/base-images with the host's GOROOT as its context.
ARG BASE
FROM $BASE
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev git make \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY . /usr/local/go
ENV PATH=/go/bin:/usr/local/go/bin:$PATH GOPATH=/go GOTOOLCHAIN=local
WORKDIR /go
