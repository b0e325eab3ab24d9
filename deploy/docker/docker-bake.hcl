# Both variants of the image: docker buildx bake -f deploy/docker/docker-bake.hcl

variable "TAG" {
  default = "latest"
}

# PyTorch's index of CPU wheels, as pytorch.org names it. Without it the CPU image works, too, but
# carries two gigabytes of CUDA libraries.
variable "TORCH_CPU_INDEX" {
  default = ""
}

group "default" {
  targets = ["gpu", "cpu"]
}

target "gpu" {
  context    = "."
  dockerfile = "deploy/docker/Dockerfile"
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
