"""Trainings: the settings of each, and the functions that run them. `latentlab train` is these."""

from latentlab.face import face

_HOMES = {
    "AdapterTraining": "settings_beside",
    "AutoencoderTraining": "settings",
    "ClipTraining": "settings",
    "ControlTraining": "settings_beside",
    "DenoiserTraining": "settings",
    "EditTraining": "settings",
    "ImageControlTraining": "settings_beside",
    "ImageTraining": "settings",
    "KnownRegionTraining": "settings_beside",
    "LoopConfig": "settings",
    "ReaderTraining": "settings",
    "ReferenceTraining": "settings_beside",
    "SliderTraining": "settings_beside",
    "StudentTraining": "settings_beside",
    "VectorVAETraining": "settings",
    "train_adapter": "adapter",
    "train_autoencoder": "autoencoder",
    "train_clip": "clip_model",
    "train_control": "control",
    "train_denoiser": "denoiser",
    "train_edits": "edits",
    "train_image_control": "image_control",
    "train_image_denoiser": "image",
    "train_known_region": "known_region",
    "train_reader": "reader",
    "train_reference": "reference",
    "train_slider": "slider",
    "train_student": "student",
    "train_vector_vae": "vector_vae",
}
__getattr__, __dir__ = face(__name__, _HOMES)
