#version 330
in vec3 in_position;
in vec3 in_tangent;
in float in_half_width;
uniform mat4 to_clip;
uniform mat4 to_world;
uniform mat4 to_torso;
uniform vec2 stay;
void main() {
    float w = smoothstep(stay.x, stay.y, in_position.y);
    vec3 position = ((to_world * w + to_torso * (1.0 - w)) * vec4(in_position, 1.0)).xyz;
    vec3 towards = vec3(to_clip[0].z, to_clip[1].z, to_clip[2].z);   // the light's direction
    vec3 side = cross(mat3(to_world) * in_tangent, normalize(towards));
    gl_Position = to_clip * vec4(position + side * in_half_width, 1.0);
}
