# All variants of the image: docker buildx bake -f deploy/docker/docker-bake.hcl

variable "TAG" {
  default = "latest"
}

# PyTorch's index of CPU wheels, as pytorch.org names it. Without it the CPU image works, too, but
# carries two gigabytes of CUDA libraries.
variable "TORCH_CPU_INDEX" {
  default = ""
}

group "default" {
  targets = ["gpu", "cpu", "serve", "serve-cpu"]
}

target "gpu" {
  context    = "."
  dockerfile = "deploy/docker/Dockerfile"
  target     = "fleet"
  tags       = ["sunriza-assets:${TAG}"]
}

target "cpu" {
  inherits = ["gpu"]
  args     = {
    PIP_EXTRA_INDEX_URL = TORCH_CPU_INDEX
    EXTRAS              = "cpu,celery,k8s"
    MODELS              = "face"
  }
  tags     = ["sunriza-assets:${TAG}-cpu"]
}

target "serve" {
  inherits = ["gpu"]
  target   = "serve"
  tags     = ["sunriza-service:${TAG}"]
}

target "serve-cpu" {
  inherits = ["cpu"]
  target   = "serve"
  tags     = ["sunriza-service:${TAG}-cpu"]
}
